"""Matrix products: `matmul` of 1-d, 2-d and batched operands; `linear`, with a bias.

Kernels: ``kernels/gemm/``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd import tape
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, from_array, from_memory
from ...kernels import gemm
from ...kernels.runtime.layout import Layout, dense, layout_of
from ..elementwise.arithmetic import clone
from ..shape.view import expand, reshape, transpose

if TYPE_CHECKING:
    from ..._tensor import Tensor


class MatMul(Op):
    """``a @ b`` of (..., M, K) and (..., K, N), the leading axes broadcast; plus a bias row."""

    def plan(self, *layouts: Layout) -> tuple[Layout, gemm.Plan | gemm.DeepPlan | None]:
        self.check(*layouts)
        a, b = layouts[0], self.right_layout(layouts[1])
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        c = dense((*batch, a.shape[-2], b.shape[-1]), a.dtype)
        if c.dtype.kind != "f" or not c.size:
            return c, None  # integers are multiplied by NumPy
        return c, gemm.plan(a, b, c, gemm.BIASED) if len(layouts) > 2 else gemm.plan_deep(a, b, c)

    def check(self, *layouts: Layout) -> None:
        """Raise ValueError for shapes that do not fit, TypeError for different dtypes or bools."""
        a, b = layouts[:2]
        if not a.ndim or not b.ndim:
            raise ValueError(f"matmul: both tensors need a dimension, got {a.shape} @ {b.shape}")
        _same_dtype("matmul", a=a, b=b)
        inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
        if a.shape[-1] != inner:
            raise ValueError(
                f"matmul: {a.shape} @ {b.shape}: the last size of the first, {a.shape[-1]}, must "
                f"equal the {'second last' if b.ndim > 1 else 'only'} size of the second, {inner}"
            )

    def right_layout(self, b: Layout) -> Layout:
        """Return the layout of the right factor (K, N), given the second input's."""
        return b

    def right(self, b: np.ndarray) -> np.ndarray:
        """Return the right factor (K, N), given the second input."""
        return b

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        if len(inputs) == 2:
            a, b = inputs
            layout, plan = self.planned(a.layout, b.layout)
            bias = 0
        else:
            a, b, row = inputs
            layout, plan = self.planned(a.layout, b.layout, row.layout)
            bias = row.address
        if plan is None:
            return self._without_kernel(inputs, layout)
        out = tape.empty(layout)
        plan.run((plan.constants, a.address, b.address, bias, out.address))
        return (out,)

    def _without_kernel(self, inputs: tuple[Any, ...], layout: Layout) -> tuple[Value, ...]:
        """Multiply integers and empty tensors by NumPy; copy a batch that has no one stride."""
        a, b = inputs[:2]
        if layout.dtype.kind == "f" and layout.size:
            batch = layout.shape[:-2]
            copies = [clone(expand(each, (*batch, *each.layout.shape[-2:]))) for each in (a, b)]
            return self.run((*copies, *inputs[2:]), {})
        product = np.asarray(np.matmul(as_array(a), self.right(as_array(b))))
        for bias in inputs[2:]:
            product = product + as_array(bias)
        return (from_memory(np.asarray(product, order="C")),)


_matmul = MatMul(
    "matmul",
    ("a", "b"),
    vjp={"a": lambda g, b: g @ transpose(b, -1, -2), "b": lambda g, a: transpose(a, -1, -2) @ g},
)


class Linear(MatMul):
    """``x @ weight.T``, plus a bias row if one is given; the weight is read as stored, (N, K).

    An op of its own so that the gradient of the weight, g.T @ x, has the layout of the weight. That
    of a product with a transposed view would be transposed, and be copied in every step.
    """

    def right_layout(self, b: Layout) -> Layout:
        return layout_of(b.shape[::-1], b.strides[::-1], b.dtype)

    def check(self, *layouts: Layout) -> None:
        x, weight, *bias = layouts
        if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
            raise ValueError(
                f"linear: x of shape {x.shape} and weight of shape {weight.shape} do not fit; "
                "wanted x (..., in_features) and weight (out_features, in_features)"
            )
        _same_dtype("linear", x=x, weight=weight)
        for row in bias:
            if row.shape != weight.shape[:1]:
                raise ValueError(
                    f"linear: bias has shape {row.shape}, but weight of shape {weight.shape} "
                    f"needs shape {weight.shape[:1]}"
                )
            _same_dtype("linear", x=x, bias=row)

    def right(self, b: np.ndarray) -> np.ndarray:
        return b.T


_linear = Linear(
    "linear",
    ("x", "weight", "bias"),
    textbook=lambda x, weight, bias: x @ transpose(weight, 0, 1) + bias,
    vjp={
        "x": lambda g, weight: g @ weight,
        "weight": lambda g, x: transpose(g, 0, 1) @ x,
        "bias": lambda g: g,
    },
)


def _same_dtype(op: str, **layouts: Layout) -> None:
    (name, a), (other, b) = layouts.items()
    if a.dtype != b.dtype:
        raise TypeError(
            f"{op}: {name} is {a.dtype} but {other} is {b.dtype}; products do not mix dtypes: "
            f"convert one, as in {other}.to({name}.dtype)"
        )
    if a.dtype.kind == "b":
        raise TypeError(f"{op} takes numbers, not bools: convert with .float()")


# --- the public forms: PyTorch's signatures ---


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product ``a @ b``.

        C[..., i, j] = sum over k of A[..., i, k] * B[..., k, j]

    Shapes as in NumPy and PyTorch: (K,) @ (K,) is a scalar; (K,) counts as a row on the left and as
    a column on the right; leading axes broadcast. Both have the same dtype.

    Raises:
        TypeError: the dtypes differ, or are bool.
        ValueError: the shapes do not fit.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]) @ tg.tensor([1.0, 10.0])
    tensor([21., 43.])
    """
    try:
        la, lb = a.layout, b.layout
    except AttributeError:
        return _mixed(a, b)  # type: ignore[no-any-return]
    if la.ndim == 2 == lb.ndim:
        return tape.apply(_matmul, (a, b))  # type: ignore[no-any-return]
    _matmul.check(la, lb)
    left = reshape(a, (1, *la.shape)) if la.ndim == 1 else a
    right = reshape(b, (*lb.shape, 1)) if lb.ndim == 1 else b
    rows, columns = left.layout.shape[:-1], right.layout.shape[-1]
    tall = len(rows) > 1 and right.layout.ndim == 2 and left.layout.contiguous and la.shape[-1]
    if tall:  # one product of all rows
        out = reshape(_matmul(reshape(left, (-1, la.shape[-1])), right), (*rows, columns))
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


def _mixed(a: Any, b: Any) -> Any:
    """Return a product of which one operand is an array or symbolic."""
    for value in (a, b):
        if isinstance(value, np.ndarray):
            return matmul(*(from_array(x) if isinstance(x, np.ndarray) else x for x in (a, b)))
        if not isinstance(value, Value):
            if hasattr(value, "__apply__"):
                return value.__apply__(_matmul, (a, b), {})
            raise TypeError(f"matmul takes two tensors, not {type(value).__name__}")
    raise AssertionError("both have layouts")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, in one pass.

    x (..., in), weight (out, in), bias (out,) or None: (..., out), all of one floating dtype.

    Raises:
        TypeError: the dtypes differ.
        ValueError: the shapes do not fit.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.linear(tg.ones(1, 2), tg.tensor([[1.0, 2.0]]), tg.tensor([0.5]))
    tensor([[3.5]])
    """
    lx, lw = x.layout, weight.layout
    if lx.ndim != 2:
        _linear.check(lx, lw)
    flat = x if lx.ndim == 2 else reshape(x, (math.prod(lx.shape[:-1]), lx.shape[-1]))
    out = _linear(flat, weight) if bias is None else _linear(flat, weight, bias)
    return out if lx.ndim == 2 else reshape(out, (*lx.shape[:-1], lw.shape[0]))
