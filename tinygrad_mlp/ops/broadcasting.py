"""Undo broadcasting: sum over the axes that were repeated. The tape does so with each gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernels.runtime.layout import Layout, Shape
from .elementwise.arithmetic import CONVERSIONS
from .reduce import _sum
from .shape.axes import sizes_of
from .shape.view import expand, reshape

if TYPE_CHECKING:
    from .._tensor import Tensor


def sum_to_size(x: Tensor, *size: Any) -> Tensor:
    """Return ``x`` summed over the axes that broadcasting ``size`` to its shape would repeat.

    Args:
        x: a tensor.
        size: the shape of the result, which must broadcast to that of ``x``.

    Raises:
        ValueError: it does not.

    >>> import tinygrad_mlp as tg
    >>> tg.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    shape = sizes_of(size)
    own = x.layout.shape
    aligned = zip(reversed(shape), reversed(own), strict=False)
    if len(shape) > len(own) or any(n not in (1, given) for n, given in aligned):
        raise ValueError(f"sum_to_size: {shape} does not broadcast to the shape {own} of `x`")
    return _sum_to_shape(x, shape)


def sum_to_layout(gradient: Tensor, layout: Layout) -> Tensor:
    """Return a gradient in the shape and dtype of ``layout``, that of its input.

    Undoes broadcasting (sums over repeated axes) and promotion (casts). A gradient that is smaller
    than its input, as in the rule of a sum, is expanded.
    """
    if gradient.layout.shape != layout.shape:
        gradient = _sum_to_shape(gradient, layout.shape)
    if gradient.layout.shape != layout.shape:
        gradient = expand(gradient, layout.shape)
    if gradient.layout.dtype != layout.dtype:
        gradient = CONVERSIONS[layout.dtype](gradient)
    return gradient


def _sum_to_shape(x: Tensor, shape: Shape) -> Tensor:
    own = x.layout.shape
    lead = len(own) - len(shape)
    dims = tuple(k for k, n in enumerate(own) if k < lead or (n != 1 and shape[k - lead] == 1))
    if dims:
        x = _sum(x, dims=dims, keepdim=len(dims) > lead)
    return reshape(x, x.layout.shape[lead:]) if x.layout.ndim > len(shape) else x
