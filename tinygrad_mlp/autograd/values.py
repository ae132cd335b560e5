"""Values from arrays and numbers, arrays from values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels.runtime.layout import Layout, dense, layout_of
from ..kernels.runtime.storage import storage_of
from . import modes, tape
from .dtypes import as_dtype, get_default_dtype, promote, scalar_dtype
from .tape import Value


def as_values(op: str, names: Sequence[str], inputs: Sequence[Any]) -> tuple[Value, ...]:
    """Tensors as they are, NumPy arrays as tensors, Python numbers as 0-d tensors that promote."""
    if len(inputs) == 2:  # mostly a tensor and a number
        x, y = inputs
        if type(y) in _NUMBERS and isinstance(x, Value):
            return x, promote_scalar(x.layout, y)
        if type(x) in _NUMBERS and isinstance(y, Value):
            return promote_scalar(y.layout, x), y
    values = [from_array(value) if isinstance(value, np.ndarray) else value for value in inputs]
    tensors = [value.layout for value in values if isinstance(value, Value)]
    common = promote(tensors) if tensors else None
    for k, value in enumerate(values):
        if isinstance(value, (bool, int, float, np.generic)):
            number = value.item() if isinstance(value, np.generic) else value
            values[k] = constant(number, scalar_dtype(number, common))
        elif not isinstance(value, Value):
            raise TypeError(
                f"{op}: `{names[k]}` must be a tensor or a number, not {type(value).__name__}"
            )
    return tuple(values)


_NUMBERS = (float, int, bool)
_known: dict[tuple[Any, ...], Value] = {}


def promote_scalar(layout: Layout, number: bool | int | float) -> Value:
    """What a number is beside one tensor, found in one look-up."""
    key = (layout, number or repr(number), type(number), get_default_dtype())  # 0.0 equals -0.0
    found = _known.get(key)
    if found is None:
        if len(_known) > 4096:
            _known.clear()
        found = _known[key] = constant(number, scalar_dtype(number, layout.dtype))
    return found


_constants: dict[tuple[str, np.dtype], Value] = {}


def constant(number: bool | int | float, dtype: np.dtype) -> Any:
    """A 0-d tensor that holds a number; the same one for the same number."""
    key = (repr(number), dtype)
    found = _constants.get(key)
    if found is None:
        if dtype.kind in "iu" and not math.isfinite(number):
            raise ValueError(f"{number} cannot be stored in a tensor of dtype {dtype}")
        if len(_constants) > 4096:
            _constants.clear()
        found = _constants[key] = from_array(np.array(number).astype(dtype))
    return found


def from_array(array: np.ndarray) -> Any:
    """A value on a copy of an array."""
    value = tape.empty(dense(array.shape, as_dtype(array.dtype)))
    as_array(value)[...] = array
    return value


def ones_as(layout: Layout) -> Any:
    """A value of ones, of the shape and dtype of a layout."""
    value = tape.empty(dense(layout.shape, layout.dtype))
    as_array(value)[...] = 1
    return value


def copy_if_overlapping(target: Value, value: Value) -> Any:
    """``value``, or a copy of it if writing to ``target`` would change it while it is read."""
    if value.storage is not target.storage or value is target:
        return value
    if value.address == target.address and value.layout is target.layout:
        return value
    return from_array(as_array(value))


def forbid_during_capture(how: str) -> None:
    """A value goes out to Python: a step that is being compiled refuses."""
    if (record := modes.recording()) is not None:
        record.graph_break(f"{how} takes a value out of the step that is being compiled")


def as_array(value: Value) -> np.ndarray:
    """The NumPy array that shares a value's memory."""
    layout, storage = value.layout, value.storage
    if storage.place < 0 and not storage.array.flags.c_contiguous:
        return np.asarray(_Window(value))
    start = value.address - storage.address + max(storage.place, 0) if layout.size else 0
    return np.ndarray(layout.shape, layout.dtype, storage.array, start, layout.strides)


class _Window:
    """A value as NumPy sees memory: for arrays that lie in memory with gaps or backwards."""

    def __init__(self, value: Value):
        layout = value.layout
        self.storage = value.storage  # kept alive by the array, of which this is the base
        self.__array_interface__ = {
            "shape": layout.shape,
            "strides": layout.strides,
            "typestr": layout.dtype.str,
            "data": (value.address, not value.storage.array.flags.writeable),
            "version": 3,
        }


def from_memory(array: np.ndarray) -> Any:
    """A value on the memory of ``array`` itself."""
    layout = layout_of(array.shape, array.strides, as_dtype(array.dtype))
    storage = storage_of(array)
    return tape.new(storage, layout, storage.address)
