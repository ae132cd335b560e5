"""Functions that need no op of their own: a line or two of other ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.values import as_array, forbid_during_capture
from . import reduce
from .create import arange
from .elementwise.arithmetic import abs, where
from .fused import matmul
from .shape import index, view


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """``value`` where the bool ``mask`` holds, else ``x``."""
    return where(mask, value, x)


def norm(x: Any, p: float | str = 2, dim: reduce.Dims = None, keepdim: bool = False) -> Any:
    """(sum of |x|^p)^(1/p) along ``dim``; ``float("inf")`` is the largest, ``"fro"`` is 2.

    At 0 the norm has a kink: the derivative there is 0, one of its subgradients.
    """
    if p in (2, "fro"):
        return reduce.root(reduce.sum(x * x, dim, keepdim))
    if p == 1:
        return reduce.sum(abs(x), dim, keepdim)
    if p == float("inf"):
        return reduce.amax(abs(x), dim, keepdim)
    if isinstance(p, str) or p <= 0:
        raise ValueError(f'norm: p must be a positive number, inf or "fro", not {p!r}')
    return reduce.root(reduce.sum(reduce.root(abs(x), p), dim, keepdim), 1 / p)


def dot(x: Any, y: Any) -> Any:
    """The sum of x_i y_i of two 1-d tensors of one size."""
    if x.layout.ndim != 1 or y.layout.ndim != 1:
        raise ValueError(f"dot takes 1-d tensors, got shapes {x.layout.shape} and {y.layout.shape}")
    return matmul.matmul(x, y)


def mm(x: Any, y: Any) -> Any:
    """The matrix product of two 2-d tensors."""
    if x.layout.ndim != 2 or y.layout.ndim != 2:
        raise ValueError(f"mm takes 2-d tensors, got shapes {x.layout.shape} and {y.layout.shape}")
    return matmul.matmul(x, y)


def outer(x: Any, y: Any) -> Any:
    """x_i y_j of two 1-d tensors: (n,) and (m,) give (n, m)."""
    if x.layout.ndim != 1 or y.layout.ndim != 1:
        raise ValueError(f"outer takes 1-d tensors, got {x.layout.shape} and {y.layout.shape}")
    return view.unsqueeze(x, 1) * y


def t(x: Any) -> Any:
    """A matrix transposed; a tensor of fewer dimensions as it is: a view."""
    if x.layout.ndim > 2:
        raise ValueError(f"t takes at most 2 dimensions, got shape {x.layout.shape}; use mT")
    return view.transpose(x, 0, 1) if x.layout.ndim == 2 else x


def movedim(x: Any, source: int, destination: int) -> Any:
    """Axis ``source`` moved to place ``destination``, the others in their order: a view."""
    at, to = view.dim_of(source, x.layout.ndim), view.dim_of(destination, x.layout.ndim)
    order = [k for k in range(x.layout.ndim) if k != at]
    order.insert(to, at)
    return view.permute(x, order)


def narrow(x: Any, dim: int, start: int, length: int) -> Any:
    """``length`` elements of axis ``dim`` from ``start`` on: a view."""
    axis = view.dim_of(dim, x.layout.ndim)
    size = x.layout.shape[axis]
    if not 0 <= start <= start + length <= size:
        raise ValueError(f"narrow: {start} to {start + length} does not lie in dim {dim} of {size}")
    return index.getitem(x, (slice(None),) * axis + (slice(start, start + length),))


def allclose(
    x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all |x - y| <= atol + rtol |y|: a Python bool, as `equal`."""
    forbid_during_capture("allclose()")
    return bool(np.allclose(as_array(x), as_array(y), rtol, atol, equal_nan))


def equal(x: Any, y: Any) -> bool:
    """Whether both have the same shape and the same elements."""
    forbid_during_capture("equal()")
    return bool(np.array_equal(as_array(x), as_array(y)))


class Sorted(NamedTuple):
    """What `sort` and `topk` return."""

    values: Any
    indices: Any


def sort(x: Any, dim: int = -1, descending: bool = False) -> Sorted:
    """``x`` in order along ``dim``, equal elements as they came, and where each was."""
    order = index.argsort(x, dim, descending)
    return Sorted(index.gather(x, dim, order), order)


def topk(x: Any, k: int, dim: int = -1, largest: bool = True) -> Sorted:
    """The ``k`` largest (or smallest) elements along ``dim``, best first, and where they are."""
    axis = view.dim_of(dim, x.layout.ndim)
    if not 0 <= k <= x.layout.shape[axis]:
        raise ValueError(
            f"topk: k={k} is not within 0 to {x.layout.shape[axis]}, the size of dim {dim}"
        )
    order = index.argsort(x, axis, descending=largest)
    order = index.getitem(order, (slice(None),) * axis + (slice(0, k),))
    return Sorted(index.gather(x, axis, order), order)


def flip(x: Any, dims: int | Sequence[int]) -> Any:
    """The order of the elements reversed along ``dims``: a view, where PyTorch copies."""
    axes = view.dims_of(dims, x.layout.ndim)
    key = tuple(slice(None, None, -1 if k in axes else 1) for k in range(x.layout.ndim))
    return index.getitem(x, key)


def repeat(x: Any, *sizes: Any) -> Any:
    """``x`` laid out again and again: ``sizes[k]`` times along axis k."""
    times = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    if len(times) < x.layout.ndim:
        raise ValueError(f"repeat: {times} names fewer axes than the shape {x.layout.shape} has")
    shape = (1,) * (len(times) - x.layout.ndim) + x.layout.shape
    split = [part for size in shape for part in (1, size)]
    wide = [part for n, size in zip(times, shape, strict=True) for part in (n, size)]
    tiled = view.expand(view.reshape(x, split), wide)
    return view.reshape(tiled, [n * size for n, size in zip(times, shape, strict=True)])


def expand_as(x: Any, other: Any) -> Any:
    """`expand` to the shape of ``other``."""
    return view.expand(x, other.layout.shape)


def tril(x: Any, diagonal: int = 0) -> Any:
    """The elements on and below a diagonal of the last two axes; zeros above."""
    return where(_below(x) <= diagonal, x, 0)


def triu(x: Any, diagonal: int = 0) -> Any:
    """The elements on and above a diagonal of the last two axes; zeros below."""
    return where(_below(x) >= diagonal, x, 0)


def _below(x: Any) -> Any:
    rows, columns = x.layout.shape[-2:]
    return arange(columns) - view.unsqueeze(arange(rows), 1)
