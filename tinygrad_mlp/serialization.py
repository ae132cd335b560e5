"""Tensors on disk: `save` and `load` of a dict of tensors, in the safetensors format.

A file holds names, dtypes, shapes and bytes. Reading it runs no code, and other frameworks can
read it (https://github.com/huggingface/safetensors). The file's metadata hold a checksum: a file
that was damaged, or edited by a program that kept its metadata, is refused.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._common.array import Array
from ._common.files import atomic_write
from ._tensor import Tensor
from .autograd.tape import Value
from .autograd.values import as_array
from .ops.create import tensor

CHECKSUM = "crc32-of-tinygrad_mlp"


def save(
    tensors: Mapping[str, Tensor | np.ndarray],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a dict of tensors, such as ``model.state_dict()``, to one file.

    The file is written under a temporary name and renamed: it is never there in part.

    Args:
        tensors: tensors or NumPy arrays by their names.
        path: the file; one that exists is replaced.
        metadata: strings by name to write into the file too, as in ``safetensors.save_file``.

    Raises:
        TypeError: ``tensors`` is not a dict of tensors by strings.
        OSError: the file cannot be written; the error names it.

    >>> import tempfile, tinygrad_mlp as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save({"x": tg.tensor([1.0, 2.0])}, folder + "/x.safetensors")
    ...     tg.load(folder + "/x.safetensors")
    {'x': tensor([1., 2.])}
    """
    if not isinstance(tensors, Mapping):
        raise TypeError(
            f"save takes a dict of tensors, not {type(tensors).__name__}: "
            "tg.save(model.state_dict(), path)"
        )
    arrays: dict[str, Array] = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, (Value, np.ndarray)):
            raise TypeError(
                f"save: entry {name!r} is {type(value).__name__}; wanted a tensor under a string"
            )
        arrays[name] = as_array(value) if isinstance(value, Value) else value
    write(arrays, path, metadata or {})


def load(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors that `save`, or another safetensors writer, wrote to a file.

    Raises:
        OSError: the file cannot be read, e.g. FileNotFoundError.
        ValueError: the file is not a complete and undamaged safetensors file.

    >>> import tempfile, tinygrad_mlp as tg
    >>> model = tg.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save(model.state_dict(), folder + "/model.safetensors")
    ...     state = tg.load(folder + "/model.safetensors")
    >>> _ = model.load_state_dict(state)
    >>> sorted(state)
    ['bias', 'weight']
    """
    arrays, _ = read(path)
    try:
        return {name: tensor(array) for name, array in arrays.items()}
    except TypeError as error:  # e.g. float16
        raise ValueError(f"{path} cannot be loaded: {error}") from None


def write(
    arrays: Mapping[str, Array], path: str | os.PathLike[str], metadata: Mapping[str, str]
) -> None:
    """Write arrays, metadata and their checksum to a file."""
    from safetensors.numpy import save as to_bytes

    # NumPy makes 0-d arrays 1-d.
    dense = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    signed = {**metadata, CHECKSUM: _checksum(dense, metadata)}
    data = to_bytes(dense, signed)
    header, start = _header(data)
    header["__metadata__"] = signed  # in this order, while safetensors' order is random
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(memoryview(data)[start:])


def read(
    path: str | os.PathLike[str], *, signed: bool = False
) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the metadata of a file; errors as in `load`.

    Args:
        signed: whether a file without a checksum is refused too.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    data = Path(path).read_bytes()
    try:
        arrays = from_bytes(data)
        header, _ = _header(data)
    except KeyError as error:
        raise ValueError(f"{path} has a tensor of dtype {error}, which NumPy has not") from None
    except (SafetensorError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from None
    metadata: dict[str, str] = header.get("__metadata__") or {}
    saved = metadata.pop(CHECKSUM, None)
    if saved != _checksum(arrays, metadata) if saved is not None else signed:
        raise ValueError(
            f"{path} is damaged: its content does not match its checksum; use a copy of it, or "
            "write it anew"
        )
    return arrays, metadata


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata of a file without its tensors; errors as in `load`."""
    from safetensors import SafetensorError, safe_open

    Path(path).stat()  # names a file that does not exist
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from None


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file, and where its tensors begin."""
    start = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:start]), start


def _checksum(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the CRC-32 of the content, which detects damage at three times SHA-256's speed."""
    value = zlib.crc32(json.dumps(sorted(metadata.items())).encode())
    for name, array in sorted(arrays.items()):
        value = zlib.crc32(json.dumps([name, array.dtype.str, array.shape]).encode(), value)
        value = zlib.crc32(array.reshape(-1).view(np.uint8).data, value)
    return f"{value:08x}"
