"""Tensors from data, from a value and from a range."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import modes
from ..autograd.dtypes import as_dtype, get_default_dtype
from ..autograd.op import Op
from ..autograd.tape import Params, Value
from ..autograd.values import as_array, forbid_during_capture, from_array, from_memory
from ..kernels.runtime.layout import DTYPES, FLOAT64, INT64
from .elementwise.arithmetic import clone
from .random import rand, randint, randn
from .shape.axes import sizes_of

if TYPE_CHECKING:
    from .._tensor import Tensor


class Create(Op):
    """An op without inputs, declared by the NumPy function that makes its array."""

    def __init__(self, name: str, function: Callable[..., np.ndarray]):
        self.function = function
        code = function.__code__
        super().__init__(name, (), params=code.co_varnames[: code.co_argcount])

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        return (from_memory(self.function(**params)),)


_full = Create("full", lambda shape, value, dtype: np.full(shape, value, dtype))
_arange = Create(
    "arange", lambda start, end, step, dtype: np.arange(start, end, step).astype(dtype)
)
_eye = Create("eye", lambda n, m, dtype: np.eye(n, m, dtype=dtype))


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor with a copy of ``data``.

    Args:
        data: a number, nested lists of numbers, a NumPy array or a tensor.
        dtype: the dtype of the result. The default for Python floats is the default dtype, for
            integers int64, for bools bool; an array keeps its dtype.
        requires_grad: whether to record operations on it.

    Raises:
        TypeError: ``data`` or its dtype cannot be that of a tensor.
        ValueError: nested lists are ragged.

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
    result: Tensor = from_array(array if target is None else array.astype(target))
    record = modes.recording()
    if record is not None and record.replayed:  # a replay copies it again: the step may write to it
        result = clone(result)
    if requires_grad:
        result.requires_grad_()
    return result


def _from_python(data: Any) -> np.ndarray:
    """Return nested lists of numbers, arrays or tensors as an array."""
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
    """Return whether an array or a tensor in nested lists is float64."""
    if isinstance(data, (list, tuple)):
        return any(map(_holds_float64, data))
    dtype = getattr(data, "dtype", None)
    return dtype is not None and dtype == FLOAT64  # NumPy takes None for float64


def from_numpy(array: np.ndarray) -> Tensor:
    """Return a tensor on the memory of ``array``: a change of one changes the other.

    Raises:
        TypeError: it is not an array, or of a dtype that tensors do not have.
        ValueError: it is read-only, or its elements are not aligned. `tensor` makes a copy.

    >>> import numpy as np
    >>> array = np.zeros(2)
    >>> x = from_numpy(array)
    >>> x[0] = 5.0
    >>> array
    array([5., 0.])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy takes a NumPy array, not {type(array).__name__}; use tensor")
    as_dtype(array.dtype)
    if not array.flags.writeable:
        raise ValueError("from_numpy: the array is read-only; tensor(array) makes a copy")
    if any(stride % array.dtype.itemsize for stride in array.strides):
        raise ValueError("from_numpy: the array's elements are not aligned; tensor(array) copies")
    made: Tensor = from_memory(array)
    if (record := modes.recording()) is not None:
        record.on_made(made)
    return made


def full(shape: Any, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ``shape`` with every element ``fill_value``.

    The default dtype is that of ``fill_value``: bool, int64, or the default dtype.

    >>> import tinygrad_mlp as tg
    >>> tg.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if isinstance(fill_value, Value):
        forbid_during_capture("full() of a tensor")
    if dtype is None:
        dtype = {bool: "bool", int: "int64"}.get(type(fill_value), get_default_dtype())
    result = _full(shape=sizes_of((shape,)), value=fill_value, dtype=as_dtype(dtype))
    result.requires_grad_(requires_grad)
    return result


def zeros(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros; ``zeros(2, 3)`` or ``zeros((2, 3))``.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2, dtype="int64")
    tensor([0, 0])
    """
    return full(sizes_of(shape), 0, dtype or get_default_dtype(), requires_grad)


def ones(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones.

    >>> import tinygrad_mlp as tg
    >>> tg.ones(1, 2)
    tensor([[1., 1.]])
    """
    return full(sizes_of(shape), 1, dtype or get_default_dtype(), requires_grad)


def empty(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor to be overwritten. It holds zeros, unlike PyTorch's, so that runs repeat.

    >>> import tinygrad_mlp as tg
    >>> tg.empty(2, 3).shape
    (2, 3)
    """
    return zeros(*shape, dtype=dtype, requires_grad=requires_grad)


def arange(start: float, end: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """Return start, start + step, ... below ``end``; ``arange(end)`` starts at 0.

    Of integers int64, else of the default dtype.

    >>> import tinygrad_mlp as tg
    >>> tg.arange(1, 2, 0.25)
    tensor([1.  , 1.25, 1.5 , 1.75])
    """
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise ValueError("arange: step must not be 0")
    if dtype is None:
        whole = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
        dtype = INT64 if whole else get_default_dtype()
    return _arange(start=start, end=end, step=step, dtype=as_dtype(dtype))


def linspace(start: float, end: float, steps: int, dtype: Any = None) -> Tensor:
    """Return ``steps`` evenly spaced numbers from ``start`` to ``end``, both included.

    >>> import tinygrad_mlp as tg
    >>> tg.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    return tensor(np.linspace(start, end, steps), dtype=dtype or get_default_dtype())


def eye(n: int, m: int | None = None, dtype: Any = None) -> Tensor:
    """Return ones on the diagonal and zeros elsewhere: (n, m), or (n, n).

    >>> import tinygrad_mlp as tg
    >>> tg.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _eye(n=n, m=n if m is None else m, dtype=as_dtype(dtype or get_default_dtype()))


# --- of the shape and, unless another is given, of the dtype of another tensor ---


def zeros_like(x: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return zeros of the shape and dtype of ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros_like(tg.tensor([1, 2]))
    tensor([0, 0])
    """
    return full(x.layout.shape, 0, dtype or x.layout.dtype, requires_grad)


def ones_like(x: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ones of the shape and dtype of ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.ones_like(tg.tensor([1, 2]), dtype="float32")
    tensor([1., 1.])
    """
    return full(x.layout.shape, 1, dtype or x.layout.dtype, requires_grad)


def full_like(x: Tensor, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ``fill_value`` in the shape and dtype of ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.full_like(tg.tensor([1, 2]), 7)
    tensor([7, 7])
    """
    return full(x.layout.shape, fill_value, dtype or x.layout.dtype, requires_grad)


def empty_like(x: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of the shape and dtype of ``x``, to be overwritten; it holds zeros.

    >>> import tinygrad_mlp as tg
    >>> tg.empty_like(tg.ones(2, 3)).shape
    (2, 3)
    """
    return zeros_like(x, dtype, requires_grad)


def rand_like(x: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return uniform numbers in [0, 1) in the shape and dtype of ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.rand_like(tg.ones(2, 3)).shape
    (2, 3)
    """
    return rand(x.layout.shape, dtype=dtype or x.layout.dtype, requires_grad=requires_grad)


def randn_like(x: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return normal numbers, mean 0 and variance 1, in the shape and dtype of ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.randn_like(tg.ones(2, 3), dtype="float64").dtype
    dtype('float64')
    """
    return randn(x.layout.shape, dtype=dtype or x.layout.dtype, requires_grad=requires_grad)


def randint_like(x: Tensor, low: int, high: int | None = None) -> Tensor:
    """Return random integers, as `randint` does, in the shape and dtype of ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.randint_like(tg.zeros(2), 3, 4)
    tensor([3., 3.])
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, x.layout.shape).to(x.layout.dtype)
