"""An ``.npz`` file with arrays ``x`` and ``y`` as a dataset."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..._common.array import Array
from ..dataset import Dataset
from ..split import split_rows
from .columns import Numeric
from .csv_reader import Table
from .preprocessor import Preparation, Task, labels_to_divide, target_of
from .scaling import Standardizer


def npz(
    path: str | os.PathLike[str],
    *,
    test: float | None = 0.2,
    seed: int = 0,
    task: Task | None = None,
) -> Dataset:
    """The rows of ``x`` and ``y`` in a file of ``np.savez``; its ``held_out`` are to test with.

    ``x`` is (N, ...): each row is flattened, and one of shape (height, width) is a picture. Bytes
    are divided by the largest, other numbers standardised, as the training rows teach.
    ``y`` is (N,) or (N, 1): names, integers or floating-point values.

    Args:
        path: the file.
        test: the fraction of the rows to hold out, drawn by ``seed``; None holds out nothing.
        seed: of what is held out.
        task: "classification" or "regression"; by default classification if ``y`` holds names or
            few whole numbers, which :func:`are_labels` says exactly.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ``.npz`` file, an array is not there, has the wrong shape or dtype, or
            holds what is not finite; or there are objects in it, which would run code when read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/noise.npz", x=np.arange(80.0).reshape(20, 2, 2), y=[0, 1] * 10)
    ...     npz(f"{folder}/noise.npz")
    Dataset('noise', rows=16, features=4, classes=2, held_out=4)
    """
    arrays = read_npz(path)
    x, table = arrays["x"], target_table(str(path), arrays["y"])
    target = target_of(table, "y", task)  # whose classes are those of all rows
    train, held_out = np.arange(len(x)), None
    if test is not None:
        labels = labels_to_divide(table, target)
        train, held_out = split_rows(len(x), test, seed=seed, labels=labels)
    if not target.classes:
        target = Numeric.of(table.take(train), "y")
    preparation = Preparation(_scaling(x, train), target)
    dataset = Dataset(
        name=Path(path).stem,
        x=preparation.x(x),
        y=preparation.y(table),
        classes=target.classes,
        image_shape=(x.shape[1], x.shape[2]) if x.ndim == 3 else None,
        source=str(path),
        preparation=preparation,
    )
    rest = None if held_out is None else dataset.take(held_out)
    return replace(dataset.take(train), held_out=rest)


def _scaling(x: Array, train: Array) -> Standardizer:
    rows = x[train].reshape(len(train), -1)
    if x.dtype == np.uint8:  # pixels, of which those that hardly vary must not be blown up
        return Standardizer.dividing(max(1, int(rows.max())), rows.shape[1])
    return Standardizer.of(rows)


def read_npz(path: str | os.PathLike[str], *, target: bool = True) -> dict[str, Array]:
    """``x`` (N, ...), and ``y`` (N,) if ``target``, of an ``.npz`` file, checked.

    Raises:
        FileNotFoundError, ValueError: as :func:`npz`.
    """
    file = str(path)
    wanted = ("x", "y") if target else ("x",)
    arrays = _read(Path(path), wanted)
    x = arrays["x"]
    if x.dtype.kind not in "biuf" or x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"{file}: x must be numbers of shape (rows, features) or (rows, height, width), "
            f"got {x.dtype} of shape {x.shape}"
        )
    if target:
        y = arrays["y"]
        if y.shape not in ((len(x),), (len(x), 1)) or y.dtype.kind not in "biufU":
            raise ValueError(
                f"{file}: y must be labels or values of shape ({len(x)},), one for each row of x, "
                f"got {y.dtype} of shape {y.shape}"
                + ("; one-hot labels are y.argmax(axis=1)" if y.ndim == 2 else "")
            )
        arrays["y"] = y.reshape(len(x))
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise ValueError(f"{file}: {name} must be finite, got {array[place]} at {list(place)}")
    return arrays


def target_table(file: str, y: Array) -> Table:
    """``y`` (N,) as a table of one column, so that a target is the same wherever it comes from."""
    return Table(file, ("y",), [[str(value)] for value in y.tolist()], range(len(y)), "row")


def _read(path: Path, wanted: tuple[str, ...]) -> dict[str, Array]:
    if not zipfile.is_zipfile(path):
        path.stat()  # raises if it is not there
        raise ValueError(f"{path} is no .npz file; np.savez({path.name!r}, x=x, y=y) writes one")
    try:
        with np.load(path, allow_pickle=False) as packed:
            missing = [name for name in wanted if name not in packed]
            if missing:
                raise KeyError(
                    f"{path} has no array {missing[0]!r}, it has: {', '.join(packed) or 'none'}"
                )
            return {name: packed[name] for name in wanted}
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        objects = "pickle" in str(error)
        reason = "holds Python objects, which are not read: they could run code" if objects else ""
        raise ValueError(f"{path} {reason or f'cannot be read: {error}'}") from None
