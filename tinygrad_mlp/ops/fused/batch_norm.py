"""Batch normalisation, and the update of its running statistics.

Kernels: ``kernels/fused/batch_norm.py``.
"""

# Textbook forms compute on tensors and print as formulas: their types would all be Any.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tape import Params, Value
from ...autograd.values import from_array
from ...kernels.codegen import expression
from ...kernels.fused import batch_norm as kernels
from ...kernels.fused.column_sums import blocks_of
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import Layout, dense
from ..elementwise.declare import elementwise
from ..elementwise.transcendental import rsqrt
from ..shape.view import contiguous, permute, reshape
from ..validation import as_floating, like
from .declare import Fused, float_bits, like_or_filled

if TYPE_CHECKING:
    from ..._tensor import Tensor


class InBlocks(Fused):
    """An op with scratch memory for two rows of sums of each block of rows."""

    def scratch_size(self, first: Layout, results: Sequence[Layout]) -> int:
        column = results[-1]
        rows = first.size // max(column.size, 1)
        blocks: int = blocks_of.py_func(rows)  # without compiling it
        return int(max(2 * blocks * column.size * first.dtype.itemsize, 1))


class OverColumns(InBlocks):
    """An op in three launches."""

    stages: tuple[str, ...] = ()

    def lower(self, *signature: Any) -> tuple[list[Layout], list[Launch]]:
        x, eps = signature[0], signature[-1]
        words, columns = len(self.inputs) + len(self.outputs) + 1, x.shape[1:]
        constants = [*x.shape, float_bits(eps)]
        launches = [
            Launch(kernels.address(stage, str(x.dtype)), words, constants, x.size * nanoseconds)
            for stage, nanoseconds in zip(self.stages, (0.17, 0.01, 0.16), strict=True)
        ]
        column = dense(columns, x.dtype)
        return [dense(x.shape, x.dtype), column, column], launches if x.size else []


class BatchNorm(OverColumns):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and var of each column of x.

    x (N, C) in C order, weight and bias (C,). Further outputs: mean (C,), and var (C,), the mean of
    (x - mean)^2.
    """

    stages = ("sums", "totals", "elements")


class BatchNormBackward(OverColumns):
    """The gradients of `batch_norm` by x, weight and bias, from the statistics that it computed."""

    stages = ("backward_sums", "backward_totals", "backward_elements")


def _textbook(x, weight, bias, *, eps):
    mean = x.mean(0)  # (C,)
    var = ((x - mean) ** 2).mean(0)
    return (x - mean) / (var + eps).sqrt() * weight + bias, mean, var


def _textbook_backward(g, x, weight, mean, var, *, eps):
    r = 1 / (var + eps).sqrt()  # (C,)
    h = (x - mean) * r  # (N, C)
    return weight * r * (g - g.mean(0) - h * (g * h).mean(0)), (g * h).sum(0), g.sum(0)


_batch_norm_backward = BatchNormBackward.of(
    "batch_norm_backward", _textbook_backward, "g_x g_weight g_bias"
)
_batch_norm = BatchNorm.of("batch_norm", _textbook, "out mean var", vjp=_batch_norm_backward)


normalize = elementwise(
    "normalize",
    lambda x, mean, var, weight, bias, eps: (
        (x - mean) * (weight / expression.sqrt(var + eps)) + bias
    ),
    public=False,
    dtype="float",
    about="Normalise by given statistics.",
    x=lambda g, var, weight, eps: g * (weight * rsqrt(var + eps)),
    mean=lambda g, var, weight, eps: -g * (weight * rsqrt(var + eps)),
    var=lambda g, x, mean, var, weight, eps: (
        -0.5 * g * (x - mean) * (weight * rsqrt(var + eps) / (var + eps))
    ),
    weight=lambda g, x, mean, var, eps: g * (x - mean) * rsqrt(var + eps),
    bias=lambda g: g,
)


class UpdateRunningStats(Fused):
    """Move the running statistics towards those of a batch of ``count`` values per column.

        num_batches_tracked += 1
        running_mean = (1 - m) running_mean + m mean
        running_var = (1 - m) running_var + m var * count / (count - 1)

    with m = ``momentum``, or 1 / num_batches_tracked if that is None: the average of all batches.
    """

    integers = ("num_batches_tracked",)

    def lower(self, *signature: Any) -> tuple[list[Layout], list[Launch]]:
        *_, mean, _, momentum, count = signature
        unbias = count / (count - 1) if count > 1 else math.nan
        new = math.nan if momentum is None else momentum
        kernel = kernels.address("update_running_stats_", str(mean.dtype))
        return [], [Launch(kernel, 5, [mean.size, float_bits(unbias), float_bits(new)], 0)]

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        super().run(inputs, params)
        return (inputs[0],)


update_running_stats_ = UpdateRunningStats(
    "update_running_stats_",
    ("running_mean", "running_var", "num_batches_tracked", "mean", "var"),
    params=("momentum", "count"),
    mutates=("running_mean", "running_var", "num_batches_tracked"),
)


# --- the public form: PyTorch's signature ---


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    num_batches_tracked: Tensor | None = None,
) -> Tensor:
    """Normalise each of C features, then scale and shift it.

        out = (x - mean) / sqrt(var + eps) * weight + bias

    In ``training``, mean and var are those of each feature over N (and L), and the running
    statistics, if given, move towards them. Otherwise they are the running statistics.

    Args:
        input: (N, C) or (N, C, L), floating.
        running_mean: (C,), overwritten in training.
        running_var: (C,), overwritten in training; unbiased, divided by n - 1.
        weight: (C,), ones if not given.
        bias: (C,), zeros if not given.
        training: whether to use the statistics of the batch.
        momentum: how far the running statistics move; None: they become the average over all
            batches, counted by ``num_batches_tracked``.
        eps: added to the variance.
        num_batches_tracked: () int64, incremented in training.

    Raises:
        ValueError: an empty batch or one value per feature in training, shapes that do not fit, or
            no running statistics outside of training.
        TypeError: dtypes that differ or are not floating.

    Source: S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by
    reducing internal covariate shift", ICML 2015.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.batch_norm(tg.tensor([[1.0], [3.0]]), training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    input = as_floating("batch_norm", "input", input)
    shape = input.layout.shape
    if len(shape) not in (2, 3):
        raise ValueError(f"batch_norm: `input` must be (N, C) or (N, C, L), not {shape}")
    features = (shape[1],)
    running = [
        None if value is None else like("batch_norm", name, value, "input", input, features)
        for name, value in (("running_mean", running_mean), ("running_var", running_var))
    ]
    weight = like_or_filled("batch_norm", "weight", weight, input, features, 1.0)
    bias = like_or_filled("batch_norm", "bias", bias, input, features, 0.0)
    if not training:
        return _with_statistics(input, running, weight, bias, eps)
    count = _values_per_feature(shape)
    rows = input if len(shape) == 2 else reshape(permute(input, 0, 2, 1), (count, shape[1]))
    out, mean, var = _batch_norm(
        contiguous(rows), contiguous(weight), contiguous(bias), eps=float(eps)
    )
    if running[0] is not None and running[1] is not None:
        tracked = num_batches_tracked
        tracked = from_array(np.zeros((), np.int64)) if tracked is None else tracked
        update_running_stats_(*running, tracked, mean, var, momentum=momentum, count=count)
    return out if len(shape) == 2 else permute(reshape(out, (shape[0], shape[2], -1)), 0, 2, 1)


def _values_per_feature(shape: tuple[int, ...]) -> int:
    """Return the number of values per feature; ValueError if they have no variance."""
    count = shape[0] * math.prod(shape[2:])
    if count < 2:
        what = "an empty batch" if count == 0 else "one value for each feature"
        raise ValueError(
            f"batch_norm: `input` of shape {shape} has {what}, and training needs two or more to "
            "take their variance: use a larger batch (drop_last=True drops a last batch of one), "
            "or model.eval() to use the running statistics"
        )
    return count


def _with_statistics(input: Any, running: list[Any], weight: Any, bias: Any, eps: float) -> Tensor:
    if running[0] is None or running[1] is None:
        raise ValueError(
            "batch_norm: without training it needs running_mean and running_var; pass both, or "
            "training=True to normalise by the batch's own statistics"
        )
    given = [*running, weight, bias]
    if input.layout.ndim == 3:
        given = [reshape(value, (-1, 1)) for value in given]
    return normalize(input, *given, eps)
