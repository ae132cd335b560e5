"""Concatenation of tensors along an axis, and stacking along a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.dtypes import promote
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, from_memory
from ..elementwise.arithmetic import CONVERSIONS
from .axes import along, dim_of, folded
from .view import _slice, freeze, unsqueeze

if TYPE_CHECKING:
    from ..._tensor import Tensor


class _Cat(Op):
    """Tensors one after another along an axis."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        joined = np.concatenate([as_array(x) for x in inputs], axis=params["dim"])
        return (from_memory(np.ascontiguousarray(joined)),)


_cat = _Cat(
    "cat",
    ("tensors",),
    params=("dim", "sizes"),
    vjp=lambda g, dim, sizes: [
        _slice(g, key=freeze(along(dim, slice(sum(sizes[:k]), sum(sizes[: k + 1])))))
        for k in range(len(sizes))
    ],
)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors along the axis ``dim``; their dtypes are promoted.

    Raises:
        ValueError: there are no tensors, or their other sizes differ.
        TypeError: an entry is not a tensor.

    >>> import tinygrad_mlp as tg
    >>> tg.cat([tg.tensor([[1, 2]]), tg.tensor([[3, 4]])], 1)
    tensor([[1, 2, 3, 4]])
    """
    tensors = _checked("cat", tensors)
    first = tensors[0].layout
    axis = dim_of(dim, first.ndim)
    for k, each in enumerate(tensors):
        shape = each.layout.shape
        same = len(shape) == first.ndim and folded(shape, [axis], True) == folded(
            first.shape, [axis], True
        )
        if not first.ndim or not same:
            raise ValueError(
                f"cat along dim {dim}: tensor {k} has shape {shape}, which does not continue "
                f"tensor 0 of shape {first.shape}"
            )
    dtype = promote([each.layout for each in tensors])
    tensors = [x if x.layout.dtype == dtype else CONVERSIONS[dtype](x) for x in tensors]
    return _cat(*tensors, dim=axis, sizes=tuple(x.layout.shape[axis] for x in tensors))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis ``dim``.

    Raises:
        ValueError: there are no tensors, or their shapes differ.
        TypeError: an entry is not a tensor.

    >>> import tinygrad_mlp as tg
    >>> tg.stack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    tensors = _checked("stack", tensors)
    shapes = {each.layout.shape for each in tensors}
    if len(shapes) != 1:
        raise ValueError(f"stack takes tensors of one shape, got shapes {shapes}")
    axis = dim_of(dim, tensors[0].layout.ndim + 1)
    return cat([unsqueeze(each, axis) for each in tensors], axis)


def _checked(function: str, tensors: Sequence[Any]) -> list[Tensor]:
    tensors = list(tensors)
    if not tensors:
        raise ValueError(f"{function} of no tensors: pass at least one")
    for k, each in enumerate(tensors):
        if not isinstance(each, Value):
            raise TypeError(f"{function}: entry {k} must be a tensor, not {type(each).__name__}")
    return tensors
