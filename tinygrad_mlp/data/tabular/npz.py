"""Load an ``.npz`` file with arrays ``x`` and ``y`` as a dataset."""

from __future__ import annotations

import math
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from ..._common.array import Array
from ..._common.validation import list_names
from ..dataset import Dataset
from .columns import Numeric, Standardizer, Task, fit_target
from .csv_reader import Table
from .preprocessor import Preprocessor, split_table


def npz(
    path: str | os.PathLike[str],
    *,
    test: float | None = 0.2,
    seed: int = 0,
    task: Task | None = None,
) -> Dataset:
    """Load ``x`` and ``y`` of a file of ``np.savez``; the ``held_out`` rows are for testing.

    ``x`` is (N, ...): each row is flattened, and one of shape (height, width) is an image. uint8 is
    divided by the largest training value, other numbers are standardised by the training rows.
    ``y`` is (N,) or (N, 1): strings, integers or floating-point values.

    Args:
        path: the file.
        test: the fraction of the rows to hold out, drawn by ``seed``; None holds out nothing.
        seed: seed of the draw.
        task: "classification" or "regression"; by default classification if ``y`` holds strings
            or few whole numbers, by :func:`are_labels`.

    Returns:
        x float32 (N, F); y int64 (N,), or for regression float32 (N,), standardised.

    Raises:
        OSError: the file does not exist (FileNotFoundError), or cannot be opened.
        TypeError: ``test`` is not a number.
        ValueError: it is not an ``.npz`` file, or is damaged; an array is missing, has a wrong
            shape or dtype, is not finite, or does not fit into memory; an array holds Python
            objects, which could run code when they are loaded.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/noise.npz", x=np.arange(80.0).reshape(20, 2, 2), y=[0, 1] * 10)
    ...     npz(f"{folder}/noise.npz")
    Dataset('noise', rows=16, features=4, classes=2, held_out=4)
    """
    arrays = read_npz(path)
    x, table = arrays["x"], target_as_table(str(path), arrays["y"])
    target = fit_target(table, "y", task)  # its classes are those of all rows
    train, held_out = split_table(table, target, test, seed)
    if not target.classes:
        target = Numeric.fit(table.take(train), "y")
    try:
        preprocessor = Preprocessor(_fit_scaling(x, train), target)
        inputs = preprocessor.x(x)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    dataset = Dataset(
        name=Path(path).stem,
        x=inputs,
        y=preprocessor.y(table),
        classes=target.classes,
        image_shape=(x.shape[1], x.shape[2]) if x.ndim == 3 else None,
        source=str(path),
        preprocessor=preprocessor,
    )
    test_rows = None if test is None else dataset.take(held_out)
    return replace(dataset.take(train), held_out=test_rows)


def _fit_scaling(x: Array, train: Array) -> Standardizer:
    rows = x[train].reshape(len(train), -1)
    if x.dtype == np.uint8:  # pixels: standardising would amplify those that hardly vary
        return Standardizer.divide_by(max(1, int(rows.max())), rows.shape[1])
    return Standardizer.fit(rows)


def read_npz(path: str | os.PathLike[str], *, target: bool = True) -> dict[str, Array]:
    """Return the checked arrays of an ``.npz`` file: ``x`` (N, ...), and ``y`` (N,) if ``target``.

    Raises:
        OSError, ValueError: as :func:`npz`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/pair.npz", x=np.eye(2), y=["a", "b"])
    ...     arrays = read_npz(f"{folder}/pair.npz")
    >>> arrays["x"].shape, arrays["y"].tolist()
    ((2, 2), ['a', 'b'])
    """
    arrays = _load_arrays(Path(path), ("x", "y") if target else ("x",))
    x = arrays["x"]
    if x.dtype.kind not in "biuf" or x.ndim < 2 or x.size == 0:
        wanted = "x must be numbers of shape (rows, features) or (rows, height, width)"
        raise ValueError(f"{path}: {wanted}, got {x.dtype} of shape {x.shape}")
    if target:
        y = arrays["y"]
        if y.shape not in ((len(x),), (len(x), 1)) or y.dtype.kind not in "biufU":
            hint = "; convert one-hot labels by y.argmax(axis=1)" if y.ndim == 2 else ""
            wanted = f"y must be labels or values of shape ({len(x)},), one per row of x"
            raise ValueError(f"{path}: {wanted}, got {y.dtype} of shape {y.shape}{hint}")
        arrays["y"] = y.reshape(len(x))
        if y.dtype.kind == "U" and not _is_text(y):
            raise ValueError(f"{path}: y has strings with characters that Unicode does not have")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise ValueError(f"{path}: {name} must be finite, got {array[index]} at {list(index)}")
    return arrays


def _is_text(strings: Array) -> bool:
    """Return whether each character is one that text can hold: in Unicode, and no surrogate."""
    if not strings.dtype.itemsize:
        return True
    codes = np.ascontiguousarray(strings).view(
        np.dtype(np.uint32).newbyteorder(strings.dtype.byteorder)
    )
    return bool(((codes < 0xD800) | (codes > 0xDFFF) & (codes <= sys.maxunicode)).all())


def target_as_table(file: str, y: Array) -> Table:
    """Return ``y`` (N,) as a table with one column, so that :func:`fit_target` applies."""
    return Table(file, ("y",), [[str(value)] for value in y.tolist()], range(len(y)), "row")


def _load_arrays(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            hint = f"np.savez({path.name!r}, x=x, y=y) writes one"
            raise ValueError(f"{path} is not an .npz file; {hint}")
        try:
            with zipfile.ZipFile(file) as archive:
                members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
                found = {n: _read_member(archive, members[n]) for n in names if n in members}
        except Exception as error:  # damaged files make zipfile and NumPy raise errors of any type
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(f"{path} cannot be read: {reason}") from None
    for name in names:
        if name not in found:
            present = list_names(members) or "none"
            raise ValueError(f"{path} has no array {name!r}, only: {present}")
    return found


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Read an array, if its header and the archive give the same size, and nothing is pickled."""
    name = member.filename
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed by method {member.compress_type}, not by NumPy's")
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):  # 3.0 is for names of fields
            raise ValueError(f"{name} has the .npy format {version}, not 1.0 or 2.0")
        read_header = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if dtype.hasobject:
            hint = "they could run code; save numbers, or strings as dtype=str"
            raise ValueError(f"{name} holds Python objects, which are not loaded: {hint}")
        size = file.tell() + math.prod(shape) * dtype.itemsize
        if size != member.file_size:
            promise = f"{size:,} bytes, for {dtype} of shape {shape}"
            raise ValueError(
                f"{name} has {member.file_size:,} bytes, but its header gives {promise}"
            )
    with archive.open(member) as file:
        array: Array = npy.read_array(file, allow_pickle=False)
        return array
