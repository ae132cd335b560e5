"""Tensors from data, and tensors from nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import modes
from ..autograd.dtypes import as_dtype, get_default_dtype
from ..autograd.op import Op
from ..autograd.tape import Params, Value
from ..autograd.values import as_array, forbid_during_capture, from_array, from_memory
from ..kernels.runtime.layout import DTYPES, FLOAT64, INT64
from .elementwise.arithmetic import clone
from .random import rand, randint, randn
from .shape.view import _sizes


class _Full(Op):
    """One value everywhere."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        return (from_memory(np.full(params["shape"], params["value"], params["dtype"])),)


class _Arange(Op):
    """start, start + step, ... below end."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        start, end, step = params["start"], params["end"], params["step"]
        return (from_memory(np.arange(start, end, step).astype(params["dtype"])),)


class _Eye(Op):
    """Ones on the diagonal of n rows and m columns."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        return (from_memory(np.eye(params["n"], params["m"], dtype=params["dtype"])),)


_full = _Full("full", (), params=("shape", "value", "dtype"))
_arange = _Arange("arange", (), params=("start", "end", "step", "dtype"))
_eye = _Eye("eye", (), params=("n", "m", "dtype"))


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor with a copy of ``data``: a number, nested lists, a NumPy array, or a tensor.

    Python floats become the default dtype, integers int64, bools bool; an array keeps its dtype.

    Raises TypeError for data or dtypes that a tensor cannot have, ValueError for ragged lists.

    >>> tensor([[1, 2], [3, 4]], dtype="float32").shape
    (2, 2)
    """
    if isinstance(data, Value):
        forbid_during_capture("tensor(x)")
        array = as_array(data)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        array = _from_python(data)
    target = None if dtype is None else as_dtype(dtype)
    if target is None and array.dtype == FLOAT64 and not _holds_float64(data):
        target = get_default_dtype()  # Python floats
    if target is None and array.dtype not in DTYPES:
        raise TypeError(
            f"tensor: data has dtype {array.dtype}, which a tensor cannot have; convert it, as in "
            f"data.astype(np.{'int64' if array.dtype.kind in 'iu' else 'float32'})"
        )
    result = from_array(array if target is None else array.astype(target))
    record = modes.recording()
    if record is not None and record.replayed:  # made anew each time too: the step may write to it
        result = clone(result)
    if requires_grad:
        result.requires_grad_()
    return result


def _from_python(data: Any) -> np.ndarray:
    """Nested lists of numbers, arrays or tensors as an array."""
    if isinstance(data, (list, tuple)):
        if any(isinstance(d, Value) for d in data):
            forbid_during_capture("tensor() of a list of tensors")
        data = [as_array(d) if isinstance(d, Value) else d for d in data]
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"tensor: the nested lists are ragged: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"tensor: cannot make numbers of {type(data).__name__} {data!r:.60}")
    return array


def _holds_float64(data: Any) -> bool:
    """Whether an array or a tensor in nested lists is float64."""
    if isinstance(data, (list, tuple)):
        return any(map(_holds_float64, data))
    dtype = getattr(data, "dtype", None)
    return dtype is not None and dtype == FLOAT64  # NumPy takes None for float64


def from_numpy(array: np.ndarray) -> Any:
    """A tensor on the memory of ``array`` itself: a change of one is seen in the other.

    Raises TypeError if it is no array or its dtype is none of a tensor's, ValueError if it is
    read-only (use `tensor`, which copies).
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy takes a NumPy array, not {type(array).__name__}; use tensor")
    as_dtype(array.dtype)
    if not array.flags.writeable:
        raise ValueError("from_numpy: the array is read-only; tensor(array) makes a copy")
    if any(stride % array.dtype.itemsize for stride in array.strides):
        raise ValueError("from_numpy: the array's elements are not aligned; tensor(array) copies")
    return from_memory(array)


def full(shape: Any, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of ``shape`` with every element ``fill_value``."""
    if isinstance(fill_value, Value):
        forbid_during_capture("full() of a tensor")
    if dtype is None:
        dtype = {bool: "bool", int: "int64"}.get(type(fill_value), get_default_dtype())
    result = _full(
        shape=_sizes((shape,)) if not isinstance(shape, int) else (shape,),
        value=fill_value,
        dtype=as_dtype(dtype),
    )
    return result.requires_grad_() if requires_grad else result


def zeros(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of zeros; ``zeros(2, 3)`` or ``zeros((2, 3))``."""
    return full(_sizes(shape), 0, dtype or get_default_dtype(), requires_grad)


def ones(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of ones."""
    return full(_sizes(shape), 1, dtype or get_default_dtype(), requires_grad)


def empty(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor to be overwritten. Unlike PyTorch's it holds zeros, so that runs repeat."""
    return zeros(*shape, dtype=dtype, requires_grad=requires_grad)


def arange(start: float, end: float | None = None, step: float = 1, dtype: Any = None) -> Any:
    """start, start + step, ... up to but not including ``end`` (from 0 if only one is given)."""
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise ValueError("arange: step must not be 0")
    if dtype is None:
        whole = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
        dtype = INT64 if whole else get_default_dtype()
    return _arange(start=start, end=end, step=step, dtype=as_dtype(dtype))


def linspace(start: float, end: float, steps: int, dtype: Any = None) -> Any:
    """``steps`` numbers evenly from ``start`` to ``end``, both included."""
    return tensor(np.linspace(start, end, steps), dtype=dtype or get_default_dtype())


def eye(n: int, m: int | None = None, dtype: Any = None) -> Any:
    """Ones on the diagonal, zeros elsewhere: (n, m), or (n, n)."""
    return _eye(n=n, m=n if m is None else m, dtype=as_dtype(dtype or get_default_dtype()))


def zeros_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Zeros of the shape and dtype of ``x``."""
    return full(x.layout.shape, 0, dtype or x.layout.dtype, requires_grad)


def ones_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Ones of the shape and dtype of ``x``."""
    return full(x.layout.shape, 1, dtype or x.layout.dtype, requires_grad)


def full_like(x: Any, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """``fill_value`` in the shape and dtype of ``x``."""
    return full(x.layout.shape, fill_value, dtype or x.layout.dtype, requires_grad)


def empty_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of the shape and dtype of ``x``, to be overwritten; it holds zeros."""
    return zeros_like(x, dtype, requires_grad)


def rand_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Uniform numbers in [0, 1) in the shape and dtype of ``x``."""
    return rand(x.layout.shape, dtype=dtype or x.layout.dtype, requires_grad=requires_grad)


def randn_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Normal numbers in the shape and dtype of ``x``."""
    return randn(x.layout.shape, dtype=dtype or x.layout.dtype, requires_grad=requires_grad)


def randint_like(x: Any, low: int, high: int | None = None) -> Any:
    """Random integers in the shape and dtype of ``x``."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, x.layout.shape).to(x.layout.dtype)
