"""Datasets, splits and mini-batches, as NumPy arrays: this folder knows nothing of Tensors.

>>> train, test = load_parts("digits", seed=0)
>>> x, y = train
>>> x.shape, x.dtype.name, y.dtype.name
((1438, 64), 'float32', 'int64')
"""

from .arrays import npz, read_npz
from .batching import Batches
from .columns import one_hot
from .dataset import Dataset
from .generated import circles, moons, spiral, xor
from .mnist import fashion_mnist, mnist
from .packaged import digits
from .preparation import Preparation
from .registry import DATASETS, FILES, load, load_parts, read_dataset, read_inputs
from .scaling import Standardizer
from .splitting import split, split_rows
from .table import Table, read_csv
from .tabular import csv

__all__ = [
    "DATASETS",
    "FILES",
    "Batches",
    "Dataset",
    "Preparation",
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
