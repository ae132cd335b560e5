"""Gradients of views whose memory was written to.

A write to a view changes its base, and a write to the base changes its views. After a write through
a view the gradient of the base passes through that write (`write_region`). After any write, a view
that was made before is derived from its base again (`region`). ``autograd/tape.py`` calls `where`,
`rebase_history` and `regenerate_grad_fn` at these moments.

A region is any view of a dense base, as (shape, strides, offset), the last two in bytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.op import Op
from ...autograd.tape import Node, Params, Value, move_retained
from ...autograd.values import as_array, from_array, from_memory
from ...kernels.runtime.layout import Layout, layout_of
from .view import View, contiguous

if TYPE_CHECKING:
    from ..._tensor import Tensor


class _Region(View):
    """The region of a dense base."""

    def plan(self, layout: Layout, *params: Any) -> tuple[Layout, int]:
        ((shape, strides, offset),) = params
        return layout_of(shape, strides, layout.dtype), offset


class _RegionBackward(Op):
    """Zeros of the base's shape; each element of ``g`` is added where the region read it."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        g, shape = as_array(inputs[0]), params["x_shape"]
        array = np.zeros(math.prod(shape), g.dtype)
        np.add.at(array, _positions(array, params), g)
        return (from_memory(array.reshape(shape)),)


class _WriteRegion(Op):
    """A base after one of its views was overwritten by ``part``. Only its rules run."""


class _EraseRegion(Op):
    """A copy of ``x`` with zeros in the region."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        result = from_array(as_array(inputs[0]))
        flat = as_array(result).reshape(-1)
        flat[_positions(flat, params)] = 0
        return (result,)


def _positions(flat: np.ndarray, params: Params) -> np.ndarray:
    """Return which elements of the base, counted in memory order, a region reads."""
    shape, strides, offset = params["region"]
    every = np.arange(flat.size)[offset // flat.itemsize :]
    return np.lib.stride_tricks.as_strided(
        every, shape, [8 * (s // flat.itemsize) for s in strides]
    )


def _read(g: Tensor, region: Any) -> Tensor:
    return _region(contiguous(g), region=region)


_region = _Region(
    "region",
    lambda x, region: x,
    {"x": lambda g, x_shape, region: _region_backward(g, x_shape=x_shape, region=region)},
    about="Return a region of ``x``, which is dense.",
)
_region_backward: Op = _RegionBackward(
    "region_backward", ("x",), params=("x_shape", "region"), vjp={"x": _read}
)
_erase_region: Op = _EraseRegion(
    "erase_region",
    ("x",),
    params=("region",),
    vjp={"x": lambda g, region: _erase_region(g, region=region)},
)
_write_region = _WriteRegion(
    "write_region",
    ("x", "part"),
    params=("region",),
    vjp={"x": lambda g, region: _erase_region(g, region=region), "part": _read},
)


def where(view: Any) -> Params:
    """Return a view as a region of its base; RuntimeError if the base has gaps in memory."""
    base = view.base
    if not base.layout.contiguous:
        raise RuntimeError(
            f"a view of a tensor that is not contiguous itself (shape {base.layout.shape}, "
            f"strides {base.layout.strides} bytes) was written to, or its base was: the tape "
            "cannot follow this. Make the view of base.clone() instead"
        )
    return {"region": (view.layout.shape, view.layout.strides, view.address - base.address)}


def rebase_history(view: Any) -> None:
    """Make the history of the base pass through the recorded write to ``view``."""
    view.seen = view.storage.version  # its own node is right
    _set_node(view.base, Node(_write_region, (view.base, view), where(view)))
    if view.retains_grad:  # of the gradient through the base too
        regenerate_grad_fn(view)


def regenerate_grad_fn(view: Any) -> None:
    """Derive ``view`` from its base again: the memory was written to since it was made."""
    if view.base.requires_grad:
        _set_node(view, Node(_region, (view.base,), where(view)))
    view.seen = view.storage.version


def _set_node(value: Any, node: Node) -> None:
    node.results = (value.layout,)
    if value.node is not None:
        move_retained(value, node, 0)
    value.node, value.slot, value.requires_grad = node, 0, True
