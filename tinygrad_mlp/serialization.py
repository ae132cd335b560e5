"""Tensors on disk: `save` and `load` of a dict of tensors, in the safetensors format.

A file holds names, dtypes, shapes and bytes: no code is run by reading it, and other frameworks
read it too (https://github.com/huggingface/safetensors).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._common.files import atomic_write
from .autograd.tape import Value
from .autograd.values import as_array
from .ops.create import tensor


def save(tensors: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a dict of tensors, such as ``model.state_dict()``, to one file.

    The file appears whole or not at all: it is written under a temporary name and renamed.

    Raises TypeError for what is no dict of tensors, OSError if the folder cannot be written.

    >>> import tempfile, tinygrad_mlp as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save({"x": tg.tensor([1.0, 2.0])}, folder + "/x.safetensors")
    ...     tg.load(folder + "/x.safetensors")
    {'x': tensor([1., 2.])}
    """
    from safetensors.numpy import save as to_bytes

    if not isinstance(tensors, Mapping):
        raise TypeError(
            f"save takes a dict of tensors, not {type(tensors).__name__}: "
            "tg.save(model.state_dict(), path)"
        )
    arrays: dict[str, np.ndarray] = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, (Value, np.ndarray)):
            raise TypeError(
                f"save: entry {name!r} is {type(value).__name__}; wanted a tensor under a string"
            )
        array = as_array(value) if isinstance(value, Value) else value
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)  # NumPy makes 0-d 1-d
    with atomic_write(path) as temporary:
        temporary.write_bytes(to_bytes(arrays))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save` (or another safetensors writer) wrote: a dict of tensors.

    Raises FileNotFoundError if there is no such file, ValueError if it is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    data = Path(path).read_bytes()
    try:
        arrays = from_bytes(data)
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is no whole safetensors file: {error}") from None
    return {name: tensor(array) for name, array in arrays.items()}
