"""Datasets, splits and mini-batches, as NumPy arrays: this folder knows nothing of Tensors.

>>> train, test = load_parts("digits", seed=0)
>>> x, y = train
>>> x.shape, x.dtype.name, y.dtype.name
((1438, 64), 'float32', 'int64')
"""

from .batching import Batches
from .dataset import Dataset
from .mnist import fashion_mnist, mnist
from .packaged import digits
from .registry import DATASETS, FILES, load, load_parts, read_dataset, read_inputs
from .split import split, split_rows
from .tabular.columns import one_hot
from .tabular.csv_dataset import csv
from .tabular.csv_reader import Table, read_csv
from .tabular.npz import npz, read_npz
from .tabular.preprocessor import Preparation
from .tabular.scaling import Standardizer
from .toy import circles, moons, spiral, xor

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
