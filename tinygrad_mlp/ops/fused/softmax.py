"""Softmax, its logarithm, and log-sum-exp along one axis, which is moved to the end if need be.

Kernels: ``kernels/fused/softmax.py``.
"""

# mypy: disable-error-code="has-type,operator"
# (mypy checks the formulas of a module before it has inferred the operators of Tensor.)

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...autograd.op import Op
from ...kernels.fused import softmax as kernels
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import Layout, dense
from .. import reduce
from ..elementwise.arithmetic import where
from ..elementwise.transcendental import exp
from ..shape.axes import axis_last, dim_of, folded
from ..shape.view import contiguous, permute, reshape, transpose, unsqueeze

if TYPE_CHECKING:
    from ..._tensor import Tensor


class RowOp(reduce.OneLaunch):
    """An op on the rows of a tensor in C order."""

    folds = False  # whether the result has one number per row

    def plan(self, layout: Layout) -> tuple[Layout, Launch | None]:
        columns = layout.shape[-1]
        result = dense(layout.shape[:-1] if self.folds else layout.shape, layout.dtype)
        rows = result.size if self.folds else result.size // max(columns, 1)
        if rows == 0:
            return result, None
        kernel = kernels.address(self.name, str(layout.dtype))
        return result, Launch(kernel, 2, [rows, columns], layout.size * 0.6)


class RowFold(RowOp):
    """An op that reduces each row to one number."""

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
            * where((unsqueeze(out, -1) == math.inf) & (x < math.inf), 0, _softmax(contiguous(x)))
        )
    },
)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Return positive numbers that sum to 1 along ``dim``.

        softmax(x)_i = exp(x_i) / sum over j of exp(x_j)

    Computed without overflow. NaN where all x_j are -inf.

    Raises:
        TypeError: ``x`` is not floating.

    >>> import tinygrad_mlp as tg
    >>> tg.softmax(tg.tensor([[0.0, 0.0], [1000.0, 0.0]]))
    tensor([[0.5, 0.5],
            [1. , 0. ]])
    """
    return _along(_softmax, x, dim)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Return the logarithm of `softmax` along ``dim``, without underflow.

        log_softmax(x)_i = x_i - log(sum over j of exp(x_j))

    >>> import tinygrad_mlp as tg
    >>> tg.log_softmax(tg.tensor([1000.0, 0.0]))
    tensor([    0., -1000.])
    """
    return _along(_log_softmax, x, dim)


def logsumexp(x: Tensor, dim: int = -1, keepdim: bool = False) -> Tensor:
    """Return log(sum over j of exp(x_j)) along ``dim``, without overflow; -inf of no elements.

    Where one x_j is infinite, the derivative by the finite ones is 0.

    >>> import tinygrad_mlp as tg
    >>> tg.logsumexp(tg.tensor([1000.0, 1000.0]))
    tensor(1000.6932)
    """
    shape, axis = x.layout.shape, dim_of(dim, x.layout.ndim)
    rows = x if axis >= len(shape) - 1 else permute(x, axis_last(axis, len(shape)))
    out = _logsumexp(_rows(rows))
    return reshape(out, folded(shape, [axis], True)) if keepdim else out


def _along(op: Op, x: Tensor, dim: int) -> Tensor:
    last, axis = x.layout.ndim - 1, dim_of(dim, x.layout.ndim)
    if last < 0:
        return reshape(op(_rows(x)), ())
    return op(_rows(x)) if axis == last else transpose(op(_rows(transpose(x, axis, -1))), axis, -1)


def _rows(x: Tensor) -> Tensor:
    """Return ``x`` in C order, with an axis at least; TypeError if it is not floating."""
    if x.layout.dtype.kind != "f":
        raise TypeError(
            f"softmax and logsumexp take floating tensors, not {x.layout.dtype}: x.float()"
        )
    return contiguous(x) if x.layout.ndim else reshape(x, (1,))
