"""The table of datasets by name, and the loaders of files by suffix.

To add a dataset, add one entry to :data:`DATASETS`: its loader, a description, and how the command
line trains on it by default.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from .tabular.npz import npz, read_npz, target_as_table
from .tabular.preprocessor import Preprocessor
from .toy import circles, moons, spiral, xor


@dataclass(frozen=True)
class Entry:
    """A named dataset.

    Attributes:
        load: function that returns the dataset.
        description: one sentence for ``tinygrad-mlp datasets``.
        training: settings of ``tinygrad-mlp train``, where they differ from the defaults.
        options: options of :func:`load_parts` for ``tinygrad-mlp train``, likewise.

    >>> Entry(moons, "two half circles", training={"epochs": 20}).load(points=30)
    Dataset('moons', rows=60, features=2, classes=2)
    """

    load: Callable[..., Dataset]
    description: str
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


# The settings of digits and spiral were chosen over seeds 0 to 4.
_PLANE = dict(hidden=(32, 32), lr=0.01, epochs=100, batch_size=32)
_IMAGES = dict(hidden=(256, 128), dropout=0.2, lr=0.003, batch_size=128)

DATASETS: dict[str, Entry] = {
    "digits": Entry(
        digits,
        "1,797 images of handwritten digits, 8 x 8 pixels, included",
        dict(hidden=(128, 64), batch_norm=True, lr=0.003, epochs=40, batch_size=64),
    ),
    "spiral": Entry(
        spiral,
        "points on three interleaved spiral arms",
        dict(hidden=(100,), lr=0.03, epochs=200, batch_size=50),
        dict(arms=3, points=200, test=0.5),  # the training half is the usual 3 x 100 points
    ),
    "moons": Entry(moons, "points on two interleaving half circles", _PLANE),
    "circles": Entry(circles, "points on a circle inside a circle", _PLANE),
    "xor": Entry(xor, "points around the corners of a square, one class per diagonal", _PLANE),
    "mnist": Entry(
        mnist,
        "70,000 images of handwritten digits, 28 x 28 pixels, downloaded once",
        dict(_IMAGES, epochs=6),
    ),
    "fashion_mnist": Entry(
        fashion_mnist,
        "70,000 images of clothes, 28 x 28 pixels, downloaded once",
        dict(_IMAGES, epochs=12),
    ),
}

FILES: dict[str, Callable[..., Dataset]] = {".csv": csv, ".tsv": csv, ".npz": npz}
"""The loader of a file by its suffix."""


def load(name: str | os.PathLike[str], **options: Any) -> Dataset:
    """Load the dataset called ``name``, or the file ``name``.

    Args:
        name: a key of :data:`DATASETS`, or the path of a file with a suffix in :data:`FILES`.
        **options: arguments of its loader.

    Raises:
        ValueError: there is no such dataset, kind of file or option.
        OSError, TypeError, ValueError: as its loader, such as :func:`csv`, :func:`npz`,
            :func:`mnist`.

    >>> load("spiral", arms=2, points=50)
    Dataset('spiral', rows=100, features=2, classes=2)
    """
    loader = _loader(name)
    for option in options:
        known = signature(loader).parameters
        if not known:
            raise ValueError(
                f"no option of {name} is called {option!r}: it has none. For {option}=... name a "
                ".csv or .npz file in place of the dataset"
            )
        check_choice(f"option of {Path(name).name}", option, known)
    return loader(**options)


def load_parts(
    name: str | os.PathLike[str], *, test: float | None = None, seed: int = 0, **options: Any
) -> tuple[Dataset, Dataset]:
    """Load a dataset or a file as ``(train, test)``.

    Args:
        name: as in :func:`load`.
        test: fraction of the rows to hold out; by default the dataset's own test rows, or 0.2 if
            it has none.
        seed: seed of the split, and of the rows if they are generated.
        **options: arguments of the loader.

    Raises:
        OSError, TypeError, ValueError: as :func:`load` and :func:`split`.

    >>> load_parts("moons", seed=3)[1]
    Dataset('moons', rows=40, features=2, classes=2)
    """
    parameters = signature(_loader(name)).parameters
    if "seed" in parameters:
        options["seed"] = seed
    if "test" in parameters and test is not None:
        options["test"], test = test, None  # a file is split before a preprocessor is fitted
    return split(load(name, **options), test, seed=seed)


def read_inputs(path: str | os.PathLike[str], preprocessor: Preprocessor, **options: Any) -> Array:
    r"""Read the rows of a file as inputs of a network: float32 (N, F). No target is needed.

    Args:
        path: the file.
        preprocessor: the preprocessor that was fitted to the network's training rows.
        **options: arguments of :func:`read_csv`.

    Raises:
        OSError: the file does not exist (FileNotFoundError), or cannot be read.
        ValueError: as :func:`read_npz`, :func:`read_csv` and :meth:`Preprocessor.x`; or the file
            has arrays, but the training rows were a table. The message names the file.

    >>> import tempfile, pathlib
    >>> from tinygrad_mlp.data import Table
    >>> rooms = Table("rents.csv", ("rooms", "rent"), [["2", "900.5"], ["4", "1500.5"]], [2, 3])
    >>> preprocessor = Preprocessor.fit(rooms, target="rent")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "new.csv")
    ...     _ = path.write_text("city,rooms\nBern,3\nBasel,5\n")
    ...     read_inputs(path, preprocessor)
    array([[0.],
           [2.]], dtype=float32)
    """
    if _suffix(path) == ".npz":
        return _array_inputs(path, preprocessor, read_npz(path, target=False)["x"])
    return preprocessor.x(read_csv(path, expected=preprocessor.column_names, **options))


def read_dataset(
    path: str | os.PathLike[str], preprocessor: Preprocessor, **options: Any
) -> Dataset:
    r"""Read the rows of a file with their targets, to evaluate a network on them.

    Arguments and errors are those of :func:`read_inputs`.

    >>> import tempfile, pathlib
    >>> from tinygrad_mlp.data import Table
    >>> rooms = Table("rents.csv", ("rooms", "rent"), [["2", "900.5"], ["4", "1500.5"]], [2, 3])
    >>> preprocessor = Preprocessor.fit(rooms, target="rent")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "new.csv")
    ...     _ = path.write_text("rent,rooms\n1200.5,3\n")
    ...     x, y = read_dataset(path, preprocessor)
    >>> x.tolist(), y.tolist()
    ([[0.0]], [0.0])
    """
    name = Path(path).stem
    if _suffix(path) != ".npz":
        table = read_csv(path, expected=preprocessor.column_names, **options)
        return preprocessor.dataset(name, table)
    arrays = read_npz(path)
    x = _array_inputs(path, preprocessor, arrays["x"])
    y = preprocessor.y(target_as_table(str(path), arrays["y"]))
    return Dataset(name, x, y, preprocessor.classes, source=str(path), preprocessor=preprocessor)


def _array_inputs(path: str | os.PathLike[str], preprocessor: Preprocessor, x: Array) -> Array:
    try:
        return preprocessor.x(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def _loader(name: str | os.PathLike[str]) -> Callable[..., Dataset]:
    if Path(name).suffix:
        return functools.partial(FILES[_suffix(name)], name)
    for path in (f"{name}{suffix}" for suffix in FILES):
        if str(name) not in DATASETS and Path(path).is_file():
            raise ValueError(f"no dataset is called {str(name)!r}; did you mean the file {path!r}?")
    return DATASETS[check_choice("dataset", str(name), DATASETS)].load


def _suffix(path: str | os.PathLike[str]) -> str:
    return check_choice("kind of file", Path(path).suffix.lower(), FILES)
