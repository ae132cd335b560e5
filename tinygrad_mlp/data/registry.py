"""The datasets by name, and those in a file by its path: one line for each kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .arguments import one_of
from .arrays import npz
from .dataset import Dataset
from .generated import circles, moons, spiral, xor
from .mnist import fashion_mnist, mnist
from .packaged import digits
from .tabular import csv

DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "spiral": spiral,
    "moons": moons,
    "circles": circles,
    "xor": xor,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
}

# By the suffix of the file.
FILES: dict[str, Callable[..., Dataset]] = {".csv": csv, ".tsv": csv, ".npz": npz}


def load(name: str | os.PathLike[str], **options: Any) -> Dataset:
    """The dataset called ``name``, or in the file ``name``.

    ``options`` are those of its function in :data:`DATASETS`, or for files in :data:`FILES`.

    Raises:
        ValueError: no dataset has this name, and it is no name of such a file.

    >>> load("spiral", arms=2, points=50)
    Dataset('spiral', rows=100, features=2, classes=2)
    """
    if read := FILES.get(Path(name).suffix.lower()):
        return read(name, **options)
    return DATASETS[one_of("dataset", name, DATASETS)](**options)
