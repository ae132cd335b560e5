"""Tensors on disk: `save` and `load` of a dict of tensors, in the safetensors format.

A file holds names, dtypes, shapes and bytes. Reading it runs no code, and other frameworks can
read it (https://github.com/huggingface/safetensors).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ._common.files import atomic_write
from ._tensor import Tensor
from .autograd.tape import Value
from .autograd.values import as_array
from .ops.create import tensor


def save(tensors: Mapping[str, Tensor | np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write a dict of tensors, such as ``model.state_dict()``, to one file.

    The file is written under a temporary name and renamed: it is never there in part.

    Args:
        tensors: tensors or NumPy arrays by their names.
        path: the file; one that exists is replaced.

    Raises:
        TypeError: ``tensors`` is not a dict of tensors by strings.
        OSError: the folder cannot be written to.

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
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)  # 0-d arrays become 1-d
    with atomic_write(path) as temporary:
        temporary.write_bytes(to_bytes(arrays))


def load(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors that `save`, or another safetensors writer, wrote to a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a complete safetensors file.

    >>> import tempfile, tinygrad_mlp as tg
    >>> model = tg.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save(model.state_dict(), folder + "/model.safetensors")
    ...     state = tg.load(folder + "/model.safetensors")
    >>> _ = model.load_state_dict(state)
    >>> sorted(state)
    ['bias', 'weight']
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    data = Path(path).read_bytes()
    try:
        arrays = from_bytes(data)
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from None
    return {name: tensor(array) for name, array in arrays.items()}
