"""Functions that need no op: each is a line or two of other ops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.values import as_array, forbid_during_capture
from . import reduce
from .create import arange
from .elementwise.arithmetic import abs, where
from .fused.matmul import matmul
from .shape.axes import Dims, along, dim_of, dims_of
from .shape.index import getitem
from .shape.view import expand, permute, reshape, transpose, unsqueeze

if TYPE_CHECKING:
    from .._tensor import Tensor


# --- sums and products ---


def masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return ``value`` where the bool ``mask`` is True, else ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([1.0, -1.0]).masked_fill(tg.tensor([False, True]), 0)
    tensor([1., 0.])
    """
    return where(mask, value, x)


def norm(x: Tensor, p: float | str = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the p-norm along ``dim``.

        (sum over i of |x_i|^p)^(1/p)

    ``p`` is above 0; infinity gives the largest |x_i|, "fro" is 2. At 0 the derivative is 0, a
    subgradient.

    Raises:
        ValueError: ``p`` is something else.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([3.0, 4.0]).norm()
    tensor(5.)
    """
    if p in (2, "fro"):
        return reduce.root(reduce.sum(x * x, dim, keepdim))
    if isinstance(p, str) or p <= 0:
        raise ValueError(f'norm: p must be a positive number, inf or "fro", not {p!r}')
    if p == 1:
        return reduce.sum(abs(x), dim, keepdim)
    if p == math.inf:
        return reduce.amax(abs(x), dim, keepdim)
    return reduce.root(reduce.sum(reduce.root(abs(x), p), dim, keepdim), 1 / p)


def dot(x: Tensor, y: Tensor) -> Tensor:
    """Return the sum of x_i y_i of two 1-d tensors of one size.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([1.0, 2.0]).dot(tg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _check_dimensions("dot", 1, x, y)
    return matmul(x, y)


def mm(x: Tensor, y: Tensor) -> Tensor:
    """Return the matrix product of two 2-d tensors.

    >>> import tinygrad_mlp as tg
    >>> tg.mm(tg.ones(1, 3), tg.ones(3, 2))
    tensor([[3., 3.]])
    """
    _check_dimensions("mm", 2, x, y)
    return matmul(x, y)


def outer(x: Tensor, y: Tensor) -> Tensor:
    """Return x_i y_j of two 1-d tensors: (n,) and (m,) give (n, m).

    >>> import tinygrad_mlp as tg
    >>> tg.outer(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _check_dimensions("outer", 1, x, y)
    return unsqueeze(x, 1) * y


def _check_dimensions(function: str, ndim: int, x: Tensor, y: Tensor) -> None:
    shapes = x.layout.shape, y.layout.shape
    if any(len(shape) != ndim for shape in shapes):
        raise ValueError(
            f"{function} takes {ndim}-d tensors, got shapes {shapes[0]} and {shapes[1]}"
        )


# --- views ---


def t(x: Tensor) -> Tensor:
    """Transpose a matrix; a tensor of fewer dimensions is returned as it is. A view.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2, 3).t().shape
    (3, 2)
    """
    if x.layout.ndim > 2:
        raise ValueError(f"t takes at most 2 dimensions, got shape {x.layout.shape}; use mT")
    return transpose(x, 0, 1) if x.layout.ndim == 2 else x


def movedim(x: Tensor, source: int, destination: int) -> Tensor:
    """Move axis ``source`` to ``destination``; the others keep their order. A view.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2, 3, 4).movedim(0, -1).shape
    (3, 4, 2)
    """
    start, end = dim_of(source, x.layout.ndim), dim_of(destination, x.layout.ndim)
    order = [k for k in range(x.layout.ndim) if k != start]
    order.insert(end, start)
    return permute(x, order)


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Return ``length`` elements of axis ``dim`` from ``start`` on: a view.

    >>> import tinygrad_mlp as tg
    >>> tg.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    axis = dim_of(dim, x.layout.ndim)
    size = x.layout.shape[axis]
    first = start + size if start < 0 else start  # as in PyTorch
    if not 0 <= first <= first + length <= size:
        raise ValueError(f"narrow: {start} to {start + length} does not lie in dim {dim} of {size}")
    return getitem(x, along(axis, slice(first, first + length)))


def flip(x: Tensor, dims: int | Sequence[int]) -> Tensor:
    """Reverse the order of the elements along ``dims``: a view, where PyTorch copies.

    >>> import tinygrad_mlp as tg
    >>> tg.arange(3).flip(0)
    tensor([2, 1, 0])
    """
    axes = dims_of(dims, x.layout.ndim)
    key = tuple(slice(None, None, -1 if k in axes else 1) for k in range(x.layout.ndim))
    return getitem(x, key)


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """Expand ``x`` to the shape of ``other``: a view.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([1, 2]).expand_as(tg.zeros(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(x, other.layout.shape)


# --- copies ---


def repeat(x: Tensor, *sizes: Any) -> Tensor:
    """Tile ``x``: ``sizes[k]`` times along axis k. Leading axes are added as needed.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    if len(times) < x.layout.ndim:
        raise ValueError(f"repeat: {times} names fewer axes than the shape {x.layout.shape} has")
    shape = (1,) * (len(times) - x.layout.ndim) + x.layout.shape
    split = [part for size in shape for part in (1, size)]
    wide = [part for n, size in zip(times, shape, strict=True) for part in (n, size)]
    tiled = expand(reshape(x, split), wide)
    return reshape(tiled, [n * size for n, size in zip(times, shape, strict=True)])


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """Return the lower triangle of the last two axes: zeros above ``diagonal``.

    >>> import tinygrad_mlp as tg
    >>> tg.ones(2, 2).tril()
    tensor([[1., 0.],
            [1., 1.]])
    """
    return where(_above_diagonal(x) <= diagonal, x, 0)


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """Return the upper triangle of the last two axes: zeros below ``diagonal``.

    >>> import tinygrad_mlp as tg
    >>> tg.ones(2, 2).triu(1)
    tensor([[0., 1.],
            [0., 0.]])
    """
    return where(_above_diagonal(x) >= diagonal, x, 0)


def _above_diagonal(x: Tensor) -> Any:
    """Return how far each element lies above the main diagonal: column minus row."""
    rows, columns = x.layout.shape[-2:]
    return arange(columns) - unsqueeze(arange(rows), 1)


# --- comparisons that return a Python bool ---


def allclose(
    x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Return whether all ``|x - y| <= atol + rtol * |y|``: a Python bool.

    >>> import tinygrad_mlp as tg
    >>> tg.allclose(tg.tensor([1.0]), tg.tensor([1.0 + 1e-7]))
    True
    """
    forbid_during_capture("allclose()")
    return bool(np.allclose(as_array(x), as_array(y), rtol, atol, equal_nan))


def equal(x: Tensor, y: Tensor) -> bool:
    """Return whether both have the same shape and the same elements: a Python bool.

    >>> import tinygrad_mlp as tg
    >>> tg.equal(tg.tensor([1, 2]), tg.tensor([1, 2]))
    True
    """
    forbid_during_capture("equal()")
    return bool(np.array_equal(as_array(x), as_array(y)))
