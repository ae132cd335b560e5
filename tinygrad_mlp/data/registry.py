"""The datasets by name, and those in a file by its path: one line for each kind.

Here it is decided by a file's suffix how it is read, to learn from it and to predict from it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from .._common.array import Array
from .._common.validation import check_choice
from .dataset import Dataset
from .mnist import fashion_mnist, mnist
from .packaged import digits
from .split import split
from .tabular.csv_dataset import csv
from .tabular.csv_reader import read_csv
from .tabular.npz import npz, read_npz, target_table
from .tabular.preprocessor import Preparation
from .toy import circles, moons, spiral, xor

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
        ValueError: no dataset has this name, and it is no name of such a file; or it has no such
            option.

    >>> load("spiral", arms=2, points=50)
    Dataset('spiral', rows=100, features=2, classes=2)
    """
    function = _function(name)
    for option in options:
        check_choice(f"option of {Path(name).name}", option, signature(function).parameters)
    return function(**options)


def load_parts(
    name: str | os.PathLike[str], *, test: float | None = None, seed: int = 0, **options: Any
) -> tuple[Dataset, Dataset]:
    """``(train, test)`` of the dataset called ``name``, or in the file ``name``.

    ``seed`` decides what is drawn: the rows themselves where they come from a formula, and which
    are held out. Without ``test``, those are what the dataset holds out itself, or else 0.2 of it.

    Raises:
        ValueError: as :func:`load` and :func:`split` do.

    >>> load_parts("moons", seed=3)[1]
    Dataset('moons', rows=40, features=2, classes=2)
    """
    takes = signature(_function(name)).parameters
    if "seed" in takes:
        options["seed"] = seed
    if "test" in takes and test is not None:
        options["test"], test = test, None  # a file is divided before it is prepared
    return split(load(name, **options), test, seed=seed)


def read_inputs(path: str | os.PathLike[str], preparation: Preparation, **options: Any) -> Array:
    """``x`` of the rows in a file, for a network that learned from what was prepared so.

    ``options`` are those of :func:`read_csv`. No target is needed, nor read.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_npz`, :func:`read_csv`, and
            :meth:`Preparation.x` do.
    """
    if _is_npz(path):  # which has no encoding and no delimiter
        return preparation.x(read_npz(path, target=False)["x"])
    return preparation.x(read_csv(path, expected=preparation.column_names, **options))


def read_dataset(path: str | os.PathLike[str], preparation: Preparation, **options: Any) -> Dataset:
    """The rows in a file with their targets, to evaluate a network on that knows such rows.

    Arguments and errors are those of :func:`read_inputs`.
    """
    if not _is_npz(path):
        table = read_csv(path, expected=preparation.column_names, **options)
        return preparation.dataset(Path(path).stem, table)
    arrays = read_npz(path)
    x, y = preparation.x(arrays["x"]), preparation.y(target_table(str(path), arrays["y"]))
    name, classes = Path(path).stem, preparation.classes
    return Dataset(name, x, y, classes, source=str(path), preparation=preparation)


def _function(name: str | os.PathLike[str]) -> Callable[..., Dataset]:
    if Path(name).suffix:
        return functools.partial(FILES[_kind(name)], name)
    return DATASETS[check_choice("dataset", str(name), DATASETS)]


def _is_npz(path: str | os.PathLike[str]) -> bool:
    return _kind(path) == ".npz"


def _kind(path: str | os.PathLike[str]) -> str:
    return check_choice("kind of file", Path(path).suffix.lower(), FILES)
