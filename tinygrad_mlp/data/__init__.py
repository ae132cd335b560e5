"""Datasets, splits and mini-batches as NumPy arrays; nothing here depends on Tensors.

Between a CSV file and the arrays that become tensors are four files, all in ``tabular/``::

    load_parts()      registry.py              chooses the loader by name or suffix
      csv()           tabular/csv_dataset.py   loads a CSV file, by calls of what follows
        read_csv()    tabular/csv_reader.py    the file -> Table: rows of text cells
        split_rows()  split.py                 draws the training and the test rows
        Numeric, ...  tabular/columns.py       a column -> numbers, standardised or one-hot
        Preprocessor  tabular/preprocessor.py  all columns -> x (N, F) and y (N,)

``tg.fit`` makes one tensor of ``x`` and one of ``y``. ``batching.py`` returns the order of the rows
in each epoch, by which the training step gathers its batch (``ops/fused/epoch_ops.py``).

The other files:

``dataset.py``      ``Dataset``, the type that every loader returns
``toy.py``          spiral, moons, circles, xor: generated from formulas
``packaged.py``     digits, a file of the package
``mnist.py``        MNIST and Fashion-MNIST, by ``idx.py`` (file format) and ``download.py``
``tabular/npz.py``  ``.npz`` files with arrays ``x`` and ``y``

>>> train, test = load_parts("digits", seed=0)
>>> x, y = train
>>> x.shape, x.dtype.name, y.dtype.name
((1438, 64), 'float32', 'int64')
"""

from .batching import Batches
from .dataset import Dataset
from .mnist import fashion_mnist, mnist
from .packaged import digits
from .registry import DATASETS, FILES, Entry, load, load_parts, read_dataset, read_inputs
from .split import split, split_rows
from .tabular.columns import Standardizer, one_hot
from .tabular.csv_dataset import csv
from .tabular.csv_reader import Table, read_csv
from .tabular.npz import npz, read_npz
from .tabular.preprocessor import Preprocessor
from .toy import circles, moons, spiral, xor

__all__ = [
    "DATASETS",
    "FILES",
    "Batches",
    "Dataset",
    "Entry",
    "Preprocessor",
    "Standardizer",
    "Table",
    "circles",
    "csv",
    "digits",
    "fashion_mnist",
    "load",
    "load_parts",
    "mnist",
    "moons",
    "npz",
    "one_hot",
    "read_csv",
    "read_dataset",
    "read_inputs",
    "read_npz",
    "spiral",
    "split",
    "split_rows",
    "xor",
]
