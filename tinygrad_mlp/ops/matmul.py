"""Matrix products: ``matmul`` of 1-d, 2-d and batched operands; ``linear``, with a bias."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import tape
from ..kernels import gemm, threads
from ..kernels.layout import BOOL, Layout, dense, layout_of
from ..kernels.memory import allocate, scratch
from ..tape import Params, Value
from .arithmetic import clone
from .op import Op
from .values import as_array, from_array, shared
from .view import expand, reshape, transpose


class MatMul(Op):
    """``a @ b`` of (..., M, K) and (..., K, N), the leading axes broadcast; plus a bias row."""

    def plan(self, *layouts: Layout) -> tuple[Layout, gemm.Plan | None]:
        a, b = layouts[0], layouts[1]
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        c = dense((*batch, a.shape[-2], b.shape[-1]), a.dtype)
        if c.dtype.kind != "f" or not c.size:
            return c, None  # integers go through NumPy
        return c, gemm.plan(a, b, c, gemm.BIASED if len(layouts) > 2 else gemm.ZEROS)

    def right(self, b: np.ndarray) -> np.ndarray:
        """The right factor as the product reads it."""
        return b

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        a, b = inputs[:2]
        layout, plan = self.planned(*[value.layout for value in inputs])
        if layout.dtype.kind != "f":
            product = np.asarray(np.matmul(as_array(a), self.right(as_array(b))))
            for bias in inputs[2:]:
                product = product + as_array(bias)
            return (shared(np.asarray(product, order="C")),)
        if plan is None and layout.size:  # no one stride leads through the batch
            batch = layout.shape[:-2]
            copies = [clone(expand(each, (*batch, *each.layout.shape[-2:]))) for each in (a, b)]
            return self.run((*copies, *inputs[2:]), params)
        owner, address = allocate(layout.shape, layout.dtype)
        if plan is not None:
            row = inputs[2].address if len(inputs) > 2 else 0
            count = threads.get_num_threads()
            room = scratch(plan.scratch(count))
            plan.launch(a.address, b.address, row, address, room, count)
        return (tape.new(owner, layout, address),)


_matmul = MatMul(
    "matmul", ("a", "b"),
    vjp={"a": lambda g, b: g @ transpose(b, -1, -2), "b": lambda g, a: transpose(a, -1, -2) @ g},
)  # fmt: skip


class Linear(MatMul):
    """``x @ weight.T``, plus a bias row if one is given; the weight is read as it lies, (N, K).

    An op of its own so that the gradient of the weight, g.T @ x, lies like the weight: as a product
    with a transposed view it would come transposed, and be copied at every step.
    """

    def plan(self, *layouts: Layout) -> tuple[Layout, gemm.Plan | None]:
        x, weight, *bias = layouts
        turned = layout_of(weight.shape[::-1], weight.strides[::-1], weight.dtype)
        return super().plan(x, turned, *bias)

    def right(self, b: np.ndarray) -> np.ndarray:
        return b.T


_linear = Linear(
    "linear", ("x", "weight", "bias"),
    textbook=lambda x, weight, bias: x @ transpose(weight, 0, 1) + bias,
    vjp={"x": lambda g, weight: g @ weight,
         "weight": lambda g, x: transpose(g, 0, 1) @ x,
         "bias": lambda g: g},
)  # fmt: skip


def matmul(a: Any, b: Any) -> Any:
    """The matrix product ``a @ b``.

        C[..., i, j] = sum over k of A[..., i, k] * B[..., k, j]

    Shapes as in NumPy and PyTorch: (K,) @ (K,) is a scalar, (K,) counts as a row on the left and as
    a column on the right, leading axes broadcast. Both dtypes must be equal.

    Raises TypeError for two dtypes or bools, ValueError for shapes that do not fit.
    """
    for value in (a, b):
        if isinstance(value, np.ndarray):
            return matmul(*(from_array(x) if isinstance(x, np.ndarray) else x for x in (a, b)))
        if not isinstance(value, Value):
            if hasattr(value, "__apply__"):
                return value.__apply__(_matmul, (a, b), {})
            raise TypeError(f"matmul takes two tensors, not {type(value).__name__}")
    la, lb = a.layout, b.layout
    if la.ndim == lb.ndim == 2 and la.shape[1] == lb.shape[0] and la.dtype == lb.dtype != BOOL:
        return tape.apply(_matmul, (a, b))
    if not la.ndim or not lb.ndim:
        raise ValueError(f"matmul: both tensors need a dimension, got {la.shape} @ {lb.shape}")
    _same_dtype("matmul", ("a", la), ("b", lb))
    inner = lb.shape[-2] if lb.ndim > 1 else lb.shape[0]
    if la.shape[-1] != inner:
        raise ValueError(
            f"matmul: {la.shape} @ {lb.shape}: the last size of the first, {la.shape[-1]}, must "
            f"equal the {'second last' if lb.ndim > 1 else 'only'} size of the second, {inner}"
        )
    left = reshape(a, (1, *la.shape)) if la.ndim == 1 else a
    right = reshape(b, (*lb.shape, 1)) if lb.ndim == 1 else b
    if left.layout.ndim > 2 and right.layout.ndim == 2 and left.layout.contiguous:
        rows = _matmul(reshape(left, (-1, inner)) if inner else left, right)  # one tall product
        out = reshape(rows, (*left.layout.shape[:-1], right.layout.shape[-1])) if inner else rows
    else:
        try:
            np.broadcast_shapes(left.layout.shape[:-2], right.layout.shape[:-2])
        except ValueError:
            raise ValueError(
                f"matmul: the leading axes of {la.shape} and {lb.shape} do not broadcast"
            ) from None
        out = _matmul(left, right)
    shape = out.layout.shape
    if la.ndim == 1:
        shape = (*shape[:-2], shape[-1])
    if lb.ndim == 1:
        shape = shape[:-1]
    return out if shape == out.layout.shape else reshape(out, shape)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """``x @ weight.T + bias`` in one pass: x (..., in), weight (out, in), bias (out,) or None.

    Raises TypeError for different dtypes, ValueError for shapes that do not fit.
    """
    lx, lw = x.layout, weight.layout
    if lw.ndim != 2 or not lx.ndim or lx.shape[-1] != lw.shape[1]:
        raise ValueError(
            f"linear: x of shape {lx.shape} and weight of shape {lw.shape} do not fit; wanted "
            "x (..., in_features) and weight (out_features, in_features)"
        )
    _same_dtype("linear", ("x", lx), ("weight", lw))
    if bias is not None:
        if bias.layout.shape != lw.shape[:1]:
            raise ValueError(
                f"linear: bias has shape {bias.layout.shape}, but weight of shape {lw.shape} wants "
                f"{lw.shape[:1]}"
            )
        _same_dtype("linear", ("x", lx), ("bias", bias.layout))
    flat = x if lx.ndim == 2 else reshape(x, (math.prod(lx.shape[:-1]), lx.shape[-1]))
    out = _linear(flat, weight) if bias is None else _linear(flat, weight, bias)
    return out if lx.ndim == 2 else reshape(out, (*lx.shape[:-1], lw.shape[0]))


def _same_dtype(op: str, first: tuple[str, Layout], second: tuple[str, Layout]) -> None:
    (name, a), (other, b) = first, second
    if a.dtype != b.dtype:
        raise TypeError(
            f"{op}: {name} is {a.dtype} but {other} is {b.dtype}; products do not mix dtypes: "
            f"convert one, as in {other}.to({name}.dtype)"
        )
    if a.dtype.kind == "b":
        raise TypeError(f"{op} takes numbers, not bools: convert with .float()")
