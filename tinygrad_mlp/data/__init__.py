"""Datasets, splits and mini-batches, as NumPy arrays: this folder knows nothing of Tensors.

>>> train, test = split(load("digits"), 0.2, seed=0)
>>> x, y = train
>>> x.shape, x.dtype.name, y.dtype.name
((1438, 64), 'float32', 'int64')
"""

from .batching import Batches
from .dataset import Dataset
from .generated import spiral
from .packaged import digits
from .registry import DATASETS, load
from .scaling import Standardizer
from .splitting import split

__all__ = [
    "DATASETS",
    "Batches",
    "Dataset",
    "Standardizer",
    "digits",
    "load",
    "spiral",
    "split",
]
