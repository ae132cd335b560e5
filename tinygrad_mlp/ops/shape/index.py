"""Indexing with tensors, and item assignment.

An index with tensors is one op, `take`: slices of one axis by their positions. A bool mask becomes
the positions where it is True; several index tensors become one, counted over their axes merged.
Axes are placed as in PyTorch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd import modes
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, constant, forbid_during_capture, from_array, from_memory
from ...kernels.codegen import expression
from ...kernels.runtime.layout import BOOL
from ..elementwise.arithmetic import copy_
from ..elementwise.declare import elementwise
from ..value_check import ValueCheck
from .axes import along
from .view import _reshape, _slice, freeze, permute, reshape, thaw

if TYPE_CHECKING:
    from ..._tensor import Tensor


class _Take(Op):
    """Slices of an axis by position: out[..., i..., ...] = x[..., index[i...], ...]."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x, index = map(as_array, inputs)
        return (from_memory(np.asarray(np.take(x, index, axis=params["dim"]), order="C")),)


class _TakeBackward(Op):
    """Zeros, with each slice of ``g`` added where `take` read it."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        g, index = map(as_array, inputs)
        array = np.zeros(params["shape"], g.dtype)
        np.add.at(array, along(params["dim"], index), g)
        return (from_memory(array),)


class _Nonzero(Op):
    """The positions of non-zero elements, a row each: (count, ndim) int64."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        return (from_memory(np.argwhere(as_array(inputs[0])).astype(np.int64)),)


class _Put(Op):
    """Overwrite the elements of ``x`` at flat positions with ``value``, in order."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        array, value, where = (as_array(each) for each in inputs)
        _write(array, where, value)
        return (inputs[0],)


class _TakeWritten(Op):
    """The elements of ``x`` at flat positions; 0 where a later one is the same position."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x, where = map(as_array, inputs)
        order = np.arange(where.size).reshape(where.shape)
        last = np.empty(x.size, order.dtype)
        _write(last, where, order)
        result = np.where(last[where] == order, x.reshape(-1)[where], x.dtype.type(0))
        return (from_memory(np.asarray(result)),)


class _TakeWrittenBackward(Op):
    """Zeros of a shape, with ``g`` written at flat positions, in order."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        g, where = map(as_array, inputs)
        array = np.zeros(params["shape"], g.dtype)
        _write(array, where, g)
        return (from_memory(array),)


def _write(array: np.ndarray, where: np.ndarray, value: np.ndarray) -> None:
    """Write at flat positions in order: of several values at one position, the last stays."""
    array = array if array.ndim else array.reshape(1)
    flat = np.broadcast_to(value, where.shape).ravel()  # in one dimension NumPy keeps the order
    array[np.unravel_index(where.ravel(), array.shape)] = flat


class _Erase(Op):
    """A copy of ``x`` with zeros at flat positions."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        result = from_array(as_array(inputs[0]))
        as_array(result).reshape(-1)[as_array(inputs[1])] = 0
        return (result,)


class _SetSlice(Op):
    """Overwrite a slice of ``x`` with ``value``."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x, value = inputs
        with modes.grad_mode(False):
            copy_.run((_slice.run((x,), params)[0], value), {})
        return (x,)


class _EraseSlice(Op):
    """A copy of ``x`` with zeros in a slice."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        result = from_array(as_array(inputs[0]))
        as_array(result)[thaw(params["key"])] = 0
        return (result,)


_take = _Take(
    "take",
    ("x", "index"),
    params=("dim",),
    vjp={"x": lambda g, x_shape, index, dim: _take_backward(g, index, dim=dim, shape=x_shape)},
)
_take_backward: Op = _TakeBackward(
    "take_backward",
    ("x", "index"),
    params=("dim", "shape"),
    vjp={"x": lambda g, index, dim: _take(g, index, dim=dim)},
)
_check_index = ValueCheck(
    "check_index",
    lambda size: (-size, size - 1),
    lambda value, k, size: IndexError(
        f"index {value} is out of range for an axis of size {size}: {-size} to {size - 1}"
    ),
    params=("size",),
)
_wrap_index = elementwise(
    "wrap_index",
    lambda index, size: expression.where(index < 0, index + size, index),
    dtype="integer",
    public=False,
    about="Return positions counted from the front.",
)
_nonzero = _Nonzero("nonzero", ("x",))
_put = _Put(
    "put_",
    ("x", "value", "where"),
    mutates=("x",),
    in_place=True,
    vjp={"x": lambda g, where: _erase(g, where), "value": lambda g, where: _take_written(g, where)},
)
_take_written: Op = _TakeWritten(
    "take_written",
    ("x", "where"),
    vjp={"x": lambda g, x_shape, where: _take_written_backward(g, where, shape=x_shape)},
)
_take_written_backward: Op = _TakeWrittenBackward(
    "take_written_backward",
    ("x", "where"),
    params=("shape",),
    vjp={"x": lambda g, where: _take_written(g, where)},
)
_erase: Op = _Erase("erase", ("x", "where"), vjp={"x": lambda g, where: _erase(g, where)})
_set_slice = _SetSlice(
    "set_slice_",
    ("x", "value"),
    params=("key",),
    mutates=("x",),
    in_place=True,
    vjp={"x": lambda g, key: _erase_slice(g, key=key), "value": lambda g, key: _slice(g, key=key)},
)
_erase_slice: Op = _EraseSlice(
    "erase_slice", ("x",), params=("key",), vjp={"x": lambda g, key: _erase_slice(g, key=key)}
)


# --- the public forms ---


def getitem(x: Tensor, key: Any) -> Tensor:
    """Return ``x[key]``: a view for integers, slices, None and ``...``, else a copy.

    Index tensors, lists and arrays hold integers (negative ones count from the end) or bools (a
    mask of the shape of the axes that it selects from).

    Raises:
        IndexError: an index is out of range, there are too many, or a mask does not fit.
        TypeError: ``key`` cannot index.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([[1, 2], [3, 4], [5, 6]])
    >>> x[[0, 2], 1]
    tensor([2, 6])
    >>> x[x > 3]
    tensor([4, 5, 6])
    """
    basic, advanced = _parse(x, key)
    view = _slice(x, key=freeze(basic))
    if not advanced:
        return view
    view, index, dim = _one_index(view, advanced)
    return _take(view, index, dim=dim)


def setitem(x: Tensor, key: Any, value: Any) -> None:
    """Assign ``x[key] = value``, with the value broadcast to the selected elements.

    Where ``key`` names an element several times, as ``x[[0, 0]] = value`` does, the last value
    stays; the values that it overwrote have gradient 0. (In PyTorch they get the gradient of the
    one that stays.)

    Raises:
        ValueError: ``value`` does not broadcast to the selected elements.
        IndexError, TypeError: as `getitem`.

    >>> import tinygrad_mlp as tg
    >>> x = tg.zeros(2, 2)
    >>> x[0] = tg.tensor([1.0, 2.0])
    >>> x
    tensor([[1., 2.],
            [0., 0.]])
    """
    if not isinstance(value, Value):
        number = isinstance(value, (bool, int, float))
        value = constant(value, x.layout.dtype) if number else from_array(np.asarray(value))
    basic, advanced = _parse(x, key)
    if not advanced:
        part = _slice.planned(x.layout, freeze(basic))[0]
        _set_slice(x, _fitting(value, part.shape), key=freeze(basic))
        return
    positions = from_memory(np.arange(x.layout.size).reshape(x.layout.shape))
    where = getitem(positions, key)
    _put(x, _fitting(value, where.layout.shape), where)


def _fitting(value: Any, selected: tuple[int, ...]) -> Any:
    """Return ``value`` without leading axes of 1; ValueError if it does not fit ``selected``."""
    shape = value.layout.shape
    while len(shape) > len(selected) and shape[0] == 1:  # as NumPy and PyTorch allow here
        shape = shape[1:]
    own = selected[len(selected) - len(shape) :]
    if len(shape) > len(selected) or any(
        size not in (1, n) for size, n in zip(shape, own, strict=True)
    ):
        raise ValueError(
            f"item assignment: `value` of shape {value.layout.shape} does not fit the selected "
            f"elements, shape {selected}"
        )
    return value if shape == value.layout.shape else reshape(value, shape)


_TENSORS = (list, np.ndarray, Value, bool, np.bool_)  # these become index tensors


def _parse(x: Tensor, key: Any) -> tuple[tuple[Any, ...], dict[int, Any]]:
    """Return the basic part of a key, and the index tensors by the axis that they apply to."""
    keys = list(key) if isinstance(key, tuple) else [key]
    keys = [_tensor_index(k) if isinstance(k, _TENSORS) else k for k in keys]
    used = sum(
        k.layout.ndim
        if isinstance(k, Value) and k.layout.dtype == BOOL
        else 0
        if k is None or k is Ellipsis
        else 1
        for k in keys
    )
    if used > x.layout.ndim:
        raise IndexError(f"{used} indices for a tensor of {x.layout.ndim} dimensions")
    dots = [n for n, k in enumerate(keys) if k is Ellipsis]
    at = dots[0] if dots else len(keys)
    keys[at : at + 1] = [slice(None)] * (x.layout.ndim - used)
    basic: list[Any] = []
    advanced: dict[int, Any] = {}
    axis = 0
    for k in keys:
        if isinstance(k, Value):
            advanced[axis] = k
            if not k.layout.ndim:  # True or False: a mask of one, over a new axis of size 1
                basic.append(None)
                advanced[axis], axis = _reshape(k, shape=(1,)), axis + 1
                continue
            width = k.layout.ndim if k.layout.dtype == BOOL else 1
            basic += [slice(None)] * width
            axis += width
        elif k is None or isinstance(k, (slice, int, np.integer)):
            basic.append(int(k) if isinstance(k, np.integer) else k)
            axis += not isinstance(k, (int, np.integer))
        else:
            raise TypeError(
                f"cannot index with {k!r}: use integers, slices, None, ..., lists, or bool and "
                "integer tensors"
            )
    return tuple(basic), advanced


def _tensor_index(key: Any) -> Any:
    value = key if isinstance(key, Value) else from_array(_as_index_array(key))
    if value.layout.dtype.kind == "f":
        raise TypeError(f"an index tensor holds integers or bools, not {value.layout.dtype}")
    if not value.layout.ndim and value.layout.dtype != BOOL:  # an integer, which makes a view
        if isinstance(key, Value):
            forbid_during_capture("a 0-d tensor as an index")
        return int(as_array(value))
    return value


def _as_index_array(key: Any) -> np.ndarray:
    array = np.asarray(key)
    return array.astype(np.int64) if array.size == 0 or array.dtype.kind in "iu" else array


def _one_index(x: Tensor, advanced: dict[int, Any]) -> tuple[Tensor, Tensor, int]:
    """Merge the indexed axes of ``x`` into one, and the index tensors into one."""
    indices: dict[int, Any] = {}
    for axis, index in advanced.items():
        if index.layout.dtype == BOOL:
            _check_mask(x.layout.shape[axis : axis + index.layout.ndim], index.layout.shape)
            found = _nonzero(index)
            for k in range(index.layout.ndim):
                indices[axis + k] = found[:, k]
        else:
            indices[axis] = index
    axes = sorted(indices)
    sizes = [x.layout.shape[axis] for axis in axes]
    first = axes[0]
    if axes != list(range(first, first + len(axes))):  # not adjacent: move them to the front
        x = permute(x, *axes, *(k for k in range(x.layout.ndim) if k not in indices))
        first = 0
    flat = _wrapped(indices[axes[0]], sizes[0])
    for axis, size in zip(axes[1:], sizes[1:], strict=True):
        flat = flat * size + _wrapped(indices[axis], size)
    shape = x.layout.shape
    merged = (*shape[:first], math.prod(sizes), *shape[first + len(axes) :])
    return reshape(x, merged), flat, first


def _wrapped(index: Any, size: int) -> Any:
    """Return int64 positions counted from the front; IndexError for one outside of the axis."""
    _check_index(index, size=size)
    return _wrap_index(index.long(), size)


def _check_mask(shape: tuple[int, ...], mask: tuple[int, ...]) -> None:
    if shape != mask:
        raise IndexError(f"a mask of shape {mask} does not fit the axes it selects from: {shape}")
