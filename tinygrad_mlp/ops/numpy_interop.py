"""NumPy functions called with tensors: ``np.exp(x)`` and ``np.sum(x, axis=0)`` are recorded.

A NumPy function without a counterpart here runs on the arrays of tensors that require no gradient.
With a tensor that requires one it raises: the gradient would be lost.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.op import UFUNCS
from ..autograd.tape import Value
from ..autograd.values import as_array, forbid_during_capture, from_array
from . import reduce
from .elementwise import arithmetic
from .fused import matmul
from .shape import join, view

if TYPE_CHECKING:
    from .._tensor import Tensor


def _reduction(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, axis=None, *, keepdims=False: op(a, axis, keepdims)


def _deviation(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, axis=None, *, ddof=0, keepdims=False: op(a, axis, ddof, keepdims)


def _joined(op: Callable[..., Any]) -> Callable[..., Any]:
    def join(arrays: Any, axis: int = 0) -> Any:
        values = (a if isinstance(a, Value) else from_array(np.asarray(a)) for a in arrays)
        return op(list(values), axis)

    return join


_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: _reduction(reduce.sum),
    np.mean: _reduction(reduce.mean),
    np.prod: _reduction(reduce.prod),
    np.max: _reduction(reduce.amax),
    np.amax: _reduction(reduce.amax),
    np.min: _reduction(reduce.amin),
    np.amin: _reduction(reduce.amin),
    np.var: _deviation(reduce.var),
    np.std: _deviation(reduce.std),
    np.argmax: _reduction(reduce.argmax),
    np.argmin: _reduction(reduce.argmin),
    np.concatenate: _joined(join.cat),
    np.stack: _joined(join.stack),
    np.where: lambda condition, x, y: arithmetic.where(condition, x, y),
    np.clip: lambda a, a_min=None, a_max=None: arithmetic.clamp(a, a_min, a_max),
    np.reshape: lambda a, shape: view.reshape(a, shape),
    np.transpose: lambda a, axes=None: view.permute(
        a, tuple(reversed(range(a.layout.ndim))) if axes is None else axes
    ),
    np.shape: lambda a: a.layout.shape,
    np.ndim: lambda a: a.layout.ndim,
    np.size: lambda a: a.layout.size,
}


def ufunc(self: Any, function: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Apply the op that a NumPy ufunc stands for: ``Tensor.__array_ufunc__``."""
    op = matmul.matmul if function is np.matmul else UFUNCS.get(function)
    if op is None or method != "__call__" or kwargs:
        raise _refused(function, kwargs)
    return op(*inputs)


def function(self: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Apply the op that a NumPy function stands for: ``Tensor.__array_function__``."""
    form = _FUNCTIONS.get(function)
    if form is not None and _takes(form, args, kwargs):
        return form(*args, **kwargs)
    if any(value.requires_grad for value in _tensors((args, kwargs))):
        raise _refused(function, kwargs)
    forbid_during_capture(f"np.{function.__name__}()")
    return function(*_arrays(args), **_arrays(kwargs))


def _refused(function: Any, kwargs: Any) -> TypeError:
    extra = f" with {sorted(kwargs)}" if kwargs else ""
    return TypeError(
        f"np.{function.__name__} cannot be recorded{extra}: "
        "convert first, as in np.asarray(x.detach())"
    )


def _takes(form: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    try:
        inspect.signature(form).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _tensors(nest: Any) -> Iterator[Value]:
    if isinstance(nest, Value):
        yield nest
    elif isinstance(nest, (tuple, list, dict)):
        for part in nest.values() if isinstance(nest, dict) else nest:
            yield from _tensors(part)


def _arrays(nest: Any) -> Any:
    """Return the same nest of arguments, with arrays in place of tensors."""
    if isinstance(nest, Value):
        return as_array(nest)
    if isinstance(nest, dict):
        return {name: _arrays(part) for name, part in nest.items()}
    return type(nest)(map(_arrays, nest)) if type(nest) in (tuple, list) else nest


def swapped(op: Callable[..., Tensor]) -> Callable[[Any, Any], Tensor]:
    """Return an operator with its operands exchanged."""
    return lambda self, other: op(other, self)


def comparison(op: Callable[..., Tensor]) -> Callable[[Any, Any], Tensor]:
    """Return a comparison operator; it returns NotImplemented for operands that are not numbers.

    So a tensor is not equal to None or to a string, as in ``x in (None, "sum")``.
    """

    def compare(self: Any, other: Any) -> Any:
        comparable = isinstance(other, (Value, int, float, np.generic, np.ndarray))
        return op(self, other) if comparable or hasattr(other, "__apply__") else NotImplemented

    return compare
