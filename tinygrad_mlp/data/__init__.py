"""Datasets, splits and mini-batches as NumPy arrays; nothing here depends on Tensors.

From a CSV file to the batches of an epoch there are four files; read them in this order:

1. ``tabular/csv_reader.py``    CSV file -> rows: a ``Table`` of text cells with line numbers
2. ``tabular/columns.py``       rows -> columns: numbers standardised, categories one-hot
3. ``tabular/preprocessor.py``  columns -> arrays: ``x`` (N, F) and ``y`` (N,)
4. ``batching.py``              arrays -> batches: rows of ``x`` and ``y`` in the order of an epoch

``tabular/csv_dataset.py`` calls the first three in turn. Then read

``dataset.py``           ``Dataset``, the type that every loader returns
``split.py``             training and test rows
``registry.py``          the table of datasets by name and of loaders by file suffix
``toy.py``               spiral, moons, circles, xor: generated from formulas
``packaged.py``          digits, a file of the package
``mnist.py``             MNIST and Fashion-MNIST, by ``idx.py`` (file format) and ``download.py``
``tabular/npz.py``       ``.npz`` files with arrays ``x`` and ``y``

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
