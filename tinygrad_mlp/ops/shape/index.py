"""Indexing with tensors, item assignment.

Every index that is not basic comes down to one op, `take`: rows of one axis by their numbers.
A bool mask becomes the positions where it holds; several index tensors become one, counted over
their axes merged. Axes are placed as in PyTorch: integers select first.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autograd import modes
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, constant, forbid_during_capture, from_array, from_memory
from ...kernels.codegen import expression
from ...kernels.runtime.layout import BOOL
from .. import reduce
from ..elementwise.arithmetic import copy_, maximum, minimum
from ..elementwise.declare import elementwise
from ..value_check import ValueCheck
from .view import _slice, dim_of, freeze, permute, reshape, thaw


class _Take(Op):
    """Elements of an axis by position: out[..., i..., ...] = x[..., index[i...], ...]."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x, index = map(as_array, inputs)
        return (from_memory(np.asarray(np.take(x, index, axis=params["dim"]), order="C")),)


class _TakeBackward(Op):
    """Zeros, with each slice of ``g`` added where `take` found it."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        g, index = map(as_array, inputs)
        dim, shape = params["dim"], params["shape"]
        array = np.zeros(shape, g.dtype)
        np.add.at(array, (slice(None),) * dim + (index,), g)
        return (from_memory(array),)


class _Nonzero(Op):
    """The positions of non-zero elements: one row each, (count, ndim). int64."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        return (from_memory(np.argwhere(as_array(inputs[0])).astype(np.int64)),)


class _Put(Op):
    """Overwrite the elements of ``x`` at flat positions with ``value``."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        array, value, where = (as_array(each) for each in inputs)
        array = array if array.ndim else array.reshape(1)
        array[np.unravel_index(where, array.shape)] = value
        return (inputs[0],)


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
    about="Positions counted from the front.",
)
_nonzero = _Nonzero("nonzero", ("x",))
_put = _Put(
    "put_",
    ("x", "value", "where"),
    mutates=("x",),
    in_place=True,
    vjp={
        "x": lambda g, where: _erase(g, where),
        "value": lambda g, where: _take(reshape(g, (-1,)), where, dim=0),
    },
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


def getitem(x: Any, key: Any) -> Any:
    """``x[key]``: a view for integers, slices, None and ...; a copy for tensors, lists, masks."""
    basic, advanced = _parse(x, key)
    view = _slice(x, key=freeze(basic))
    if not advanced:
        return view
    view, index, dim = _one_index(view, advanced)
    return _take(view, index, dim=dim)


def setitem(x: Any, key: Any, value: Any) -> None:
    """``x[key] = value``, with the value broadcast to the selected elements."""
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
    """``value`` without leading axes of 1; ValueError if it does not broadcast to ``selected``."""
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


_TENSORS = (list, np.ndarray, Value, bool, np.bool_)  # what becomes an index tensor


def _parse(x: Any, key: Any) -> tuple[tuple[Any, ...], dict[int, Any]]:
    """The basic part of a key, and the index tensors by the axis of the view they apply to."""
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
                advanced[axis], axis = reshape(k, (1,)), axis + 1
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
    if not value.layout.ndim and value.layout.dtype != BOOL:  # as the integer: it selects, a view
        if isinstance(key, Value):
            forbid_during_capture("a 0-d tensor as an index")
        return int(as_array(value))
    return value


def _as_index_array(key: Any) -> np.ndarray:
    array = np.asarray(key)
    return array.astype(np.int64) if array.size == 0 or array.dtype.kind in "iu" else array


def _one_index(x: Any, advanced: dict[int, Any]) -> tuple[Any, Any, int]:
    """Merge the indexed axes of ``x`` into one, and the index tensors into one for it."""
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
    if axes != list(range(first, first + len(axes))):  # apart: the indexed axes move to the front
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


def nonzero(x: Any) -> Any:
    """The positions of the non-zero elements of ``x``: int64, (count, ndim)."""
    return _nonzero(x)


def gather(x: Any, dim: int, index: Any) -> Any:
    """out[i][j] = x[index[i][j]][j] for dim 0, x[i][index[i][j]] for dim 1, and so on."""
    axis = dim_of(dim, x.layout.ndim)
    if index.layout.ndim != x.layout.ndim:
        raise ValueError(
            f"gather: index has {index.layout.ndim} dimensions, x has {x.layout.ndim}: they must "
            "be equal"
        )
    key = [
        from_memory(np.arange(size).reshape((-1,) + (1,) * (index.layout.ndim - 1 - k)))
        for k, size in enumerate(index.layout.shape)
    ]
    key[axis] = index
    return getitem(x, tuple(key))


def index_select(x: Any, dim: int, index: Any) -> Any:
    """The slices of ``x`` along ``dim`` whose numbers are in the 1-d tensor ``index``."""
    return getitem(x, (slice(None),) * dim_of(dim, x.layout.ndim) + (index,))


class Extreme(NamedTuple):
    """What ``max`` and ``min`` along an axis return."""

    values: Any
    indices: Any


def max(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; along ``dim`` with its index; or, given a tensor, `maximum`.

    Along an axis the first of equal elements has the index and the gradient.
    """
    return _extreme(x, dim, keepdim, reduce.amax, reduce.argmax, maximum)


def min(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; along ``dim`` with its index; or the elementwise minimum."""
    return _extreme(x, dim, keepdim, reduce.amin, reduce.argmin, minimum)


def _extreme(x: Any, dim: Any, keepdim: bool, fold: Any, arg: Any, pairwise: Any) -> Any:
    if isinstance(dim, Value):
        return pairwise(x, dim)
    if dim is None:
        return fold(x)
    indices = arg(x, dim, keepdim=True)
    values = gather(x, dim, indices) if x.layout.ndim else x
    if not keepdim and x.layout.ndim:
        shape = arg(x, dim).layout.shape
        values, indices = reshape(values, shape), reshape(indices, shape)
    return Extreme(values, indices)


class _ArgSort(Op):
    """The positions that sort the last axis. int64."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x, dim = as_array(inputs[0]), params["dim"]
        if not x.ndim:
            return (from_memory(np.zeros((), np.int64)),)
        if params["descending"]:  # backwards twice, so that equal elements keep their order
            order = np.flip(x.shape[dim] - 1 - np.argsort(np.flip(x, dim), dim, kind="stable"), dim)
        else:
            order = np.argsort(x, dim, kind="stable")
        return (from_memory(np.ascontiguousarray(order)),)


_argsort = _ArgSort("argsort", ("x",), params=("dim", "descending"))


def argsort(x: Any, dim: int = -1, descending: bool = False) -> Any:
    """The positions that sort ``x`` along ``dim``, equal elements in their order: int64."""
    return _argsort(x, dim=dim_of(dim, x.layout.ndim), descending=descending)


def split(x: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Views of ``x`` along ``dim``: of ``split_size`` each (the last maybe less), or of sizes."""
    axis = dim_of(dim, x.layout.ndim)
    total = x.layout.shape[axis]
    if isinstance(split_size, int):
        if split_size < 1:
            raise ValueError(f"split: split_size must be at least 1, not {split_size}")
        starts = list(range(0, total, split_size)) or [0]
        sizes = [builtins.min(split_size, total - start) for start in starts]
    else:
        sizes = list(split_size)
        if sum(sizes) != total:
            raise ValueError(f"split: sizes {sizes} do not sum to {total}, the size of dim {dim}")
    ends = np.cumsum(sizes).tolist()
    return tuple(
        getitem(x, (slice(None),) * axis + (slice(end - size, end),))
        for size, end in zip(sizes, ends, strict=True)
    )


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """``x`` cut along ``dim`` into at most ``chunks`` views of equal size, the last maybe less."""
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, not {chunks}")
    total = x.layout.shape[dim_of(dim, x.layout.ndim)]
    return split(x, builtins.max(1, -(-total // chunks)), dim)


def unbind(x: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices of ``x`` along ``dim``, as views without that axis."""
    axis = dim_of(dim, x.layout.ndim)
    return tuple(getitem(x, (slice(None),) * axis + (k,)) for k in range(x.layout.shape[axis]))
