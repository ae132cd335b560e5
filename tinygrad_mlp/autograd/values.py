"""Conversion: from NumPy arrays and Python numbers to tensors, and from tensors to arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.runtime.layout import Layout, dense, layout_of
from ..kernels.runtime.storage import storage_of
from . import modes, tape
from .dtypes import as_dtype, plans_of_ops, promote, scalar_dtype
from .tape import Value

if TYPE_CHECKING:
    from .._tensor import Tensor

_NUMBERS = (float, int, bool)


def as_values(op: str, names: Sequence[str], inputs: Sequence[Any]) -> tuple[Value, ...]:
    """Return the inputs of an op as tensors: arrays are copied, numbers become 0-d tensors."""
    if len(inputs) == 2:  # mostly a tensor and a number
        x, y = inputs
        if type(y) in _NUMBERS and isinstance(x, Value):
            return x, promote_scalar(x.layout, y)
        if type(x) in _NUMBERS and isinstance(y, Value):
            return promote_scalar(y.layout, x), y
    values = [from_array(value) if isinstance(value, np.ndarray) else value for value in inputs]
    layouts = [value.layout for value in values if isinstance(value, Value)]
    common = promote(layouts) if layouts else None
    for k, value in enumerate(values):
        if isinstance(value, (bool, int, float, np.generic)):
            number = value.item() if isinstance(value, np.generic) else value
            values[k] = constant(number, scalar_dtype(number, common))
        elif not isinstance(value, Value):
            raise TypeError(
                f"{op}: `{names[k]}` must be a tensor or a number, not {type(value).__name__}"
            )
    return tuple(values)


@functools.lru_cache(maxsize=4096, typed=True)
def _scalar(layout: Layout, number: bool | int | float, key: Any) -> Tensor:
    return constant(number, scalar_dtype(number, layout.dtype))


plans_of_ops.append(_scalar.cache_clear)


def promote_scalar(layout: Layout, number: bool | int | float) -> Tensor:
    """Return a number as a tensor, in the dtype that it has in an op with one other tensor."""
    return _scalar(layout, number, number or repr(number))  # 0.0 equals -0.0, but not in repr


@functools.lru_cache(maxsize=4096, typed=True)
def _constant(number: bool | int | float, dtype: np.dtype, key: str) -> Tensor:
    if dtype.kind in "iu" and not math.isfinite(number):
        raise ValueError(f"{number} cannot be stored in a tensor of dtype {dtype}")
    return from_array(np.array(number).astype(dtype))


def constant(number: bool | int | float, dtype: np.dtype) -> Tensor:
    """Return a 0-d tensor that holds a number; the same tensor for the same number."""
    return _constant(number, dtype, repr(number))


def from_array(array: np.ndarray) -> Tensor:
    """Return a tensor with a copy of an array."""
    value = tape.empty(dense(array.shape, as_dtype(array.dtype)))
    as_array(value)[...] = array
    return value


def from_memory(array: np.ndarray) -> Tensor:
    """Return a tensor on the memory of an array."""
    layout = layout_of(array.shape, array.strides, as_dtype(array.dtype))
    storage = storage_of(array)
    return tape.new(storage, layout, storage.address)


def ones_as(layout: Layout) -> Tensor:
    """Return a tensor of ones, of the shape and dtype of a layout."""
    value = tape.empty(dense(layout.shape, layout.dtype))
    as_array(value)[...] = 1
    return value


def copy_if_overlapping(target: Value, value: Value) -> Value:
    """Return ``value``, or a copy of it if writing to ``target`` would change it while it is read.

    Elements at the same place are read before they are written, so that needs no copy.
    """
    if value.storage is not target.storage or value is target:
        return value
    if value.address == target.address and value.layout is target.layout:
        return value
    return from_array(as_array(value))


def forbid_during_capture(call: str) -> None:
    """Raise `CaptureError` while a step is compiled: ``call`` returns a value to Python."""
    if (record := modes.recording()) is not None:
        record.graph_break(f"{call} takes a value out of the step that is being compiled")


def as_array(value: Value) -> np.ndarray:
    """Return a NumPy array on the memory of a tensor."""
    layout, storage = value.layout, value.storage
    if storage.place < 0 and not storage.array.flags.c_contiguous:
        return np.asarray(_Window(value))
    start = value.address - storage.address + max(storage.place, 0) if layout.size else 0
    return np.ndarray(layout.shape, layout.dtype, storage.array, start, layout.strides)


class _Window:
    """NumPy's array interface of a tensor on an array with gaps or negative strides."""

    def __init__(self, value: Value):
        layout = value.layout
        self.storage = value.storage  # the array keeps this object, and so the memory, alive
        self.__array_interface__ = {
            "shape": layout.shape,
            "strides": layout.strides,
            "typestr": layout.dtype.str,
            "data": (value.address, not value.storage.array.flags.writeable),
            "version": 3,
        }
