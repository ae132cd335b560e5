"""Batch and layer normalisation, fused; and what batch normalisation remembers of its batches."""

from __future__ import annotations

import math
from typing import Any

from ..kernels import batch_norm as batch_kernels
from ..kernels import layer_norm as layer_kernels
from ..kernels import scalar
from ..kernels.launch import Launch
from ..kernels.layout import Layout, dense
from ..tape import Params, Value
from .arithmetic import sub
from .elementwise import elementwise
from .fused import Fused, float_bits
from .op import Op
from .transcendental import rsqrt
from .view import contiguous

NANOSECONDS = 0.5  # of one element in one of these kernels, about


# --- batch normalisation: the statistics of columns ---


class BatchNorm(Fused):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and var being those of the columns of x.

    x (N, C) in C order, weight and bias (C,). Further outputs: mean (C,), and var (C,), the mean of
    (x - mean)^2.
    """

    def plan(self, x: Layout, *more: Any) -> tuple[list[Layout], list[Launch]]:
        column = dense(x.shape[1:], x.dtype)
        launches = [_over_columns("batch_norm", 6, x, more[-1])] if x.size else []
        return [dense(x.shape, x.dtype), column, column], launches


class BatchNormBackward(Fused):
    """The gradients of `batch_norm` by x, weight and bias, from the statistics that it computed."""

    def plan(self, g: Layout, x: Layout, *more: Any) -> tuple[list[Layout], list[Launch]]:
        column = dense(x.shape[1:], x.dtype)
        launches = [_over_columns("batch_norm_backward", 8, x, more[-1])] if x.size else []
        return [dense(x.shape, x.dtype), column, column], launches


def _over_columns(what: str, operands: int, x: Layout, eps: float) -> Launch:
    kernel = batch_kernels.address(what, str(x.dtype))
    return Launch(kernel, operands, [*x.shape, float_bits(eps)], x.size * NANOSECONDS)


def _batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    mean = x.mean(0)  # (C,)
    var = ((x - mean) ** 2).mean(0)
    return (x - mean) / (var + eps).sqrt() * weight + bias, mean, var


def _batch_norm_backward(g: Any, x: Any, weight: Any, mean: Any, var: Any, eps: float) -> Any:
    r = 1 / (var + eps).sqrt()  # (C,)
    h = (x - mean) * r  # (N, C)
    return weight * r * (g - g.mean(0) - h * (g * h).mean(0)), (g * h).sum(0), g.sum(0)


batch_norm = BatchNorm(
    "batch_norm", ("x", "weight", "bias"), params=("eps",), outputs=("out", "mean", "var"),
    textbook=_batch_norm,
    vjp=lambda g, x, weight, mean, var, eps: batch_norm_backward(
        contiguous(g), x, weight, mean, var, eps=eps),
)  # fmt: skip

batch_norm_backward = BatchNormBackward(
    "batch_norm_backward", ("g", "x", "weight", "mean", "var"), params=("eps",),
    outputs=("g_x", "g_weight", "g_bias"), textbook=_batch_norm_backward,
)  # fmt: skip


normalize = elementwise(
    "normalize",
    lambda x, mean, var, weight, bias, eps: (
        (x - mean) * (weight / scalar.sqrt(var + eps)) + bias
    ),
    dtype="float",
    about="Batch normalisation by statistics that are given, not computed.",
    x=lambda g, var, weight, eps: g * (weight * rsqrt(var + eps)),
    mean=lambda g, var, weight, eps: -g * (weight * rsqrt(var + eps)),
    var=lambda g, x, mean, var, weight, eps: (
        -0.5 * g * sub(x, mean) * (weight * rsqrt(var + eps) / (var + eps))
    ),
    weight=lambda g, x, mean, var, eps: g * sub(x, mean) * rsqrt(var + eps),
    bias=lambda g: g,
)


class UpdateRunningStats(Op):
    """Move the running statistics towards those of a batch of ``count`` values per column.

        num_batches_tracked += 1
        running_mean = (1 - m) running_mean + m mean
        running_var = (1 - m) running_var + m var * count / (count - 1)

    with m = ``momentum``, or 1 / num_batches_tracked if that is None: the average of all batches.
    """

    def plan(self, mean: Layout, momentum: float | None, count: int) -> Launch:
        unbias = count / (count - 1) if count > 1 else math.nan
        new = math.nan if momentum is None else momentum
        constants = [mean.size, float_bits(unbias), float_bits(new)]
        kernel = batch_kernels.address("update_running_stats_", str(mean.dtype))
        return Launch(kernel, 5, constants, 0)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        launch = self.planned(inputs[3].layout, *params.values())
        launch(*[value.address for value in inputs])
        return (inputs[0],)


update_running_stats_ = UpdateRunningStats(
    "update_running_stats_", ("running_mean", "running_var", "num_batches_tracked", "mean", "var"),
    params=("momentum", "count"), mutates=("running_mean", "running_var", "num_batches_tracked"),
)  # fmt: skip


# --- layer normalisation: the statistics of rows ---


class LayerNorm(Fused):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and var being those of each row of x.

    A row is as long as weight and bias have elements. Further outputs, one number a row: mean, and
    r = 1 / sqrt(var + eps).
    """

    def plan(self, x: Layout, weight: Layout, *more: Any) -> tuple[list[Layout], list[Launch]]:
        rows = dense(x.shape[: x.ndim - weight.ndim], x.dtype)
        launches = [_over_rows("layer_norm", 6, x, weight, more[-1])] if x.size else []
        return [dense(x.shape, x.dtype), rows, rows], launches


class LayerNormBackward(Fused):
    """The gradients of `layer_norm` by x, weight and bias, from the statistics that it computed."""

    def plan(
        self, g: Layout, x: Layout, weight: Layout, *more: Any
    ) -> tuple[list[Layout], list[Launch]]:
        column = dense(weight.shape, x.dtype)
        parts = ("rows", "parameters") if x.size else ("parameters",)
        launches = [_over_rows(part, 8, x, weight, 0.0) for part in parts]
        return [dense(x.shape, x.dtype), column, column], launches


def _over_rows(what: str, operands: int, x: Layout, weight: Layout, eps: float) -> Launch:
    kernel = layer_kernels.address(what, str(x.dtype))
    constants = [x.size // max(weight.size, 1), weight.size, float_bits(eps)]
    return Launch(kernel, operands, constants, x.size * NANOSECONDS)


def _layer_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    dims = tuple(range(-weight.ndim, 0))
    mean = x.mean(dims, keepdim=True)
    r = 1 / (((x - mean) ** 2).mean(dims, keepdim=True) + eps).sqrt()
    rows = x.shape[: x.ndim - weight.ndim]
    return (x - mean) * r * weight + bias, mean.reshape(rows), r.reshape(rows)


def _layer_norm_backward(g: Any, x: Any, weight: Any, mean: Any, r: Any) -> Any:
    dims, leading = tuple(range(-weight.ndim, 0)), tuple(range(x.ndim - weight.ndim))
    aside = (*mean.shape, *(1 for _ in dims))
    h = (x - mean.reshape(aside)) * r.reshape(aside)
    d = g * weight
    g_x = d - d.mean(dims, keepdim=True) - h * (d * h).mean(dims, keepdim=True)
    return r.reshape(aside) * g_x, (g * h).sum(leading), g.sum(leading)


layer_norm = LayerNorm(
    "layer_norm", ("x", "weight", "bias"), params=("eps",), outputs=("out", "mean", "r"),
    textbook=_layer_norm,
    vjp=lambda g, x, weight, mean, r: layer_norm_backward(contiguous(g), x, weight, mean, r),
)  # fmt: skip

layer_norm_backward = LayerNormBackward(
    "layer_norm_backward", ("g", "x", "weight", "mean", "r"),
    outputs=("g_x", "g_weight", "g_bias"), textbook=_layer_norm_backward,
)  # fmt: skip
