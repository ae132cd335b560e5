"""Softmax and its relatives along one axis: a kernel for the last axis, moved there if need be."""

from __future__ import annotations

from typing import Any

from ...autograd import tape
from ...autograd.dtypes import floating
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...kernels.fused import softmax as kernels
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import Layout, dense
from .. import reduce
from ..elementwise.arithmetic import where
from ..elementwise.transcendental import exp
from ..shape.view import contiguous, dim_of, permute, reshape, transpose, unsqueeze

INFINITY = float("inf")


class RowOp(Op):
    """An op on the rows of a tensor in C order."""

    folds = False  # whether a row becomes one number

    def plan(self, layout: Layout) -> tuple[Layout, Launch | None]:
        columns = layout.shape[-1]
        result = dense(layout.shape[:-1] if self.folds else layout.shape, layout.dtype)
        rows = result.size if self.folds else result.size // max(columns, 1)
        if rows == 0:
            return result, None
        kernel = kernels.address(self.name, str(layout.dtype))
        return result, Launch(kernel, 2, [rows, columns], layout.size * 0.6)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layout, launch = self.planned(inputs[0].layout)
        out = tape.empty(layout)
        if launch is not None:
            launch(inputs[0].address, out.address)
        return (out,)


class RowFold(RowOp):
    """An op that makes one number of each row."""

    folds = True


_softmax = RowOp(
    "softmax",
    ("x",),
    textbook=lambda x: (
        exp(x - reduce.amax(x, -1, True)) / reduce.sum(exp(x - reduce.amax(x, -1, True)), -1, True)
    ),
    vjp={"x": lambda g, out: out * (g - reduce.sum(g * out, -1, True))},
)

_log_softmax = RowOp(
    "log_softmax",
    ("x",),
    textbook=lambda x: x - unsqueeze(logsumexp(x, -1), -1),
    vjp={"x": lambda g, out: g - exp(out) * reduce.sum(g, -1, True)},
)

_logsumexp = RowFold(
    "logsumexp",
    ("x",),
    textbook=lambda x: reduce.sum(exp(x), -1).log(),
    vjp={
        "x": lambda g, x, out: (
            unsqueeze(g, -1)
            * where((unsqueeze(out, -1) == INFINITY) & (x < INFINITY), 0, _softmax(contiguous(x)))
        )
    },
)


def softmax(x: Any, dim: int = -1) -> Any:
    """exp(x_i) / sum_j exp(x_j) along ``dim``: positive, and sums to one."""
    return _along(_softmax, x, dim)


def log_softmax(x: Any, dim: int = -1) -> Any:
    """x_i - log(sum_j exp(x_j)) along ``dim``: the logarithm of `softmax`, no underflow."""
    return _along(_log_softmax, x, dim)


def logsumexp(x: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """log(sum_j exp(x_j)) along ``dim``, without overflow; -inf of no elements.

    Where one x_j is infinite, the derivative by the finite ones is 0.
    """
    axis = dim_of(dim, x.layout.ndim)
    order = (*(k for k in range(x.layout.ndim) if k != axis), axis)
    out = _logsumexp(_last(x if axis >= x.layout.ndim - 1 else permute(x, order), -1))
    return reshape(out, _kept(x, dim)) if keepdim else out


def _along(op: Op, x: Any, dim: int) -> Any:
    axis = dim_of(dim, x.layout.ndim)
    if axis == x.layout.ndim - 1:
        return op(_last(x, dim))
    return transpose(op(_last(x, dim)), axis, -1) if x.layout.ndim else reshape(op(_last(x, 0)), ())


def _last(x: Any, dim: int) -> Any:
    """``x``, floating and in C order, with axis ``dim`` exchanged for the last."""
    if floating(x.layout.dtype) != x.layout.dtype:
        raise TypeError(
            f"softmax and logsumexp take floating tensors, not {x.layout.dtype}: x.float()"
        )
    if not x.layout.ndim:
        return reshape(x, (1,))
    axis = dim_of(dim, x.layout.ndim)
    return contiguous(x if axis == x.layout.ndim - 1 else transpose(x, axis, -1))


def _kept(x: Any, dim: int) -> tuple[int, ...]:
    axis = dim_of(dim, x.layout.ndim)
    return tuple(1 if k == axis else size for k, size in enumerate(x.layout.shape))
