"""Joining: tensors one after another along an axis, or along a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.dtypes import promote
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, from_memory
from ..elementwise.arithmetic import CONVERSIONS
from .view import _slice, dim_of, freeze, unsqueeze


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
        _slice(g, key=freeze((slice(None),) * dim + (slice(sum(sizes[:k]), sum(sizes[: k + 1])),)))
        for k in range(len(sizes))
    ],
)


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors one after another along ``dim``; their other sizes must be equal, dtypes promote."""
    tensors = list(tensors)
    if not tensors:
        raise ValueError("cat of no tensors: pass at least one")
    for k, each in enumerate(tensors):
        if not isinstance(each, Value):
            raise TypeError(f"cat: entry {k} must be a tensor, not {type(each).__name__}")
    first = tensors[0].layout
    axis = dim_of(dim, first.ndim)
    for k, each in enumerate(tensors):
        shape = each.layout.shape
        if (
            not first.ndim
            or len(shape) != first.ndim
            or any(
                a != b for n, (a, b) in enumerate(zip(shape, first.shape, strict=True)) if n != axis
            )
        ):
            raise ValueError(
                f"cat along dim {dim}: tensor {k} has shape {shape}, which does not continue "
                f"tensor 0 of shape {first.shape}"
            )
    dtype = promote(each.layout for each in tensors)
    same = [each if each.layout.dtype == dtype else CONVERSIONS[dtype](each) for each in tensors]
    return _cat(*same, dim=axis, sizes=tuple(each.layout.shape[axis] for each in same))


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of one shape along a new axis ``dim``."""
    tensors = list(tensors)
    for k, each in enumerate(tensors):
        if not isinstance(each, Value):
            raise TypeError(f"stack: entry {k} must be a tensor, not {type(each).__name__}")
    shapes = {each.layout.shape for each in tensors}
    if len(shapes) != 1:
        raise ValueError(f"stack takes one or more tensors of one shape, got shapes {shapes}")
    axis = dim_of(dim, tensors[0].layout.ndim + 1)
    return cat([unsqueeze(each, axis) for each in tensors], axis)
