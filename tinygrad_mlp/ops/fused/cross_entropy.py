"""Losses of classifiers: `cross_entropy` of logits, `nll_loss` of log-probabilities.

Kernels: ``kernels/fused/cross_entropy.py``.
"""

# Textbook forms compute on tensors and print as formulas: their types would all be Any.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...autograd.tape import Params, Value, empty
from ...kernels.fused import cross_entropy as kernels
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import INT64, Layout, dense
from ...kernels.runtime.memory import scratch
from .. import reduce
from ..create import arange
from ..elementwise.arithmetic import where
from ..shape.axes import axis_last
from ..shape.view import contiguous, permute, reshape, unsqueeze
from ..validation import as_floating, as_tensor, like, reduction_of
from ..value_check import ValueCheck
from .declare import Fused, filled, float_bits
from .softmax import log_softmax

if TYPE_CHECKING:
    from ..._tensor import Tensor

MODES = {"none": kernels.NONE, "mean": kernels.MEAN, "sum": kernels.SUM}


class LabelLoss(Fused):
    """A loss of each row of (N, C) by its label, summed or averaged by the labels' weights.

    Further outputs: what the gradient needs, and the sum of the weights. The public forms check the
    labels first; here a label that is neither a class nor ``ignore_index`` gives NaN.
    """

    integers = ("target",)

    def lower(self, *signature: Any) -> tuple[list[Layout], list[Launch]]:
        x, _, _, ignore_index, *smoothing, reduction = signature
        rows, dtype = x.shape[0], str(x.dtype)
        constants = [*x.shape, ignore_index]
        total = Launch(kernels.address("total", dtype), 4, [*constants, MODES[reduction]], 0)
        saved = [dense((rows,), x.dtype)] * (2 * len(smoothing))  # the softmax's shifts and sums
        work = rows * 6.0 + x.size * 0.7 if smoothing else rows * 2.0
        constants += map(float_bits, smoothing)
        each = Launch(kernels.address(self.name, dtype), 5 + len(saved), constants, work)
        result = dense((rows,) if reduction == "none" else (), x.dtype)
        return [result, *saved, dense((), x.dtype)], [each, total]

    def scratch_size(self, first: Layout, results: Sequence[Layout]) -> int:
        return 2 * first.shape[0] * first.dtype.itemsize  # weights and losses of the rows

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layouts, (each, total), size = self.plan_of(inputs, params)
        outputs = tuple(map(empty, layouts))
        x, target, weight = [value.address for value in inputs]
        out, *saved, total_weight = [value.address for value in outputs]
        weights = scratch(size)
        losses = out if params["reduction"] == "none" else weights + size // 2
        each.run((each.constants_address, x, target, weight, losses, weights, *saved))
        total.run((total.constants_address, losses, weights, out, total_weight))
        return outputs


def _label_error(
    label: int, row: int, function: str, shape: tuple[int, ...], ignore_index: int
) -> IndexError:
    return IndexError(
        f"{function}: target[{row}] is {label}, but `input` of shape {shape} has {shape[1]} "
        f"classes: labels are 0 to {shape[1] - 1}, or ignore_index ({ignore_index})"
    )


_check_labels = ValueCheck(
    "check_labels",
    lambda function, shape, ignore_index: (0, shape[1] - 1, ignore_index),
    _label_error,
    params=("function", "shape", "ignore_index"),
)


class LabelLossBackward(Fused):
    """The gradient of a `LabelLoss` by its (N, C) input."""

    integers = ("target",)

    def lower(self, g: Layout, *more: Any) -> tuple[list[Layout], list[Launch]]:
        *_, target, weight, _ = [layout for layout in more if isinstance(layout, Layout)]
        ignore_index, *smoothing, reduction = more[len(self.inputs) - 1 :]
        result = dense((*target.shape, *weight.shape), g.dtype)
        bits = map(float_bits, smoothing)
        constants = [*result.shape, ignore_index, *bits, MODES[reduction]]
        kernel = kernels.address(self.name, str(g.dtype))
        work = result.shape[0] * 4.0 + result.size * 0.5
        return [result], [Launch(kernel, len(self.inputs) + 1, constants, work)]


# --- textbook forms: log_p, logits (N, C), target (N,), weight (C,) ---


def _targets(target, weight, label_smoothing, dtype):
    """Return the weighted target distribution (N, C), and the weight of each label (N,)."""
    hot = (unsqueeze(target, -1) == arange(weight.shape[0])).to(dtype)
    smooth = (1 - label_smoothing) * hot + label_smoothing / weight.shape[0]
    return smooth * weight, (hot * weight).sum(1)


def _reduced(log_p, target, weight, ignore_index, label_smoothing, reduction):
    wanted, weights = _targets(target, weight, label_smoothing, log_p.dtype)
    losses = where(target == ignore_index, 0, -(wanted * log_p).sum(1))
    total_weight = where(target == ignore_index, 0, weights).sum()
    if reduction == "none":
        return losses, total_weight
    return losses.sum() / (total_weight if reduction == "mean" else 1), total_weight


def _per_row(g, total_weight, target, ignore_index, reduction):
    """Return the gradient of each row's loss: (N, 1)."""
    g = g / total_weight if reduction == "mean" else g
    return unsqueeze(where(target == ignore_index, 0, g), 1)


def _nll_loss_textbook(log_p, target, weight, *, ignore_index, reduction):
    return _reduced(log_p, target, weight, ignore_index, 0.0, reduction)


def _nll_loss_backward_textbook(g, target, weight, total_weight, *, ignore_index, reduction):
    rows = _per_row(g, total_weight, target, ignore_index, reduction)
    return -rows * _targets(target, weight, 0.0, g.dtype)[0]


def _textbook(logits, target, weight, *, ignore_index, label_smoothing, reduction):
    log_p = log_softmax(logits)
    out, total_weight = _reduced(log_p, target, weight, ignore_index, label_smoothing, reduction)
    shift = reduce.amax(logits, 1)
    return out, shift, (logits - unsqueeze(shift, 1)).exp().sum(1), total_weight


def _textbook_backward(
    g, logits, shift, sum, target, weight, total_weight, *, ignore_index, label_smoothing, reduction
):
    softmax = (logits - unsqueeze(shift, 1)).exp() / unsqueeze(sum, 1)
    wanted, _ = _targets(target, weight, label_smoothing, g.dtype)
    rows = _per_row(g, total_weight, target, ignore_index, reduction)
    return rows * (softmax * wanted.sum(1, keepdim=True) - wanted)


_cross_entropy_backward = LabelLossBackward.of(
    "cross_entropy_backward", _textbook_backward, "g_logits"
)
_cross_entropy = LabelLoss.of(
    "cross_entropy", _textbook, "out shift sum total_weight", vjp=_cross_entropy_backward
)
_nll_loss_backward = LabelLossBackward.of(
    "nll_loss_backward", _nll_loss_backward_textbook, "g_log_p"
)
_nll_loss = LabelLoss.of("nll_loss", _nll_loss_textbook, "out total_weight", vjp=_nll_loss_backward)


# --- the public forms: PyTorch's signatures ---


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy between logits and class labels, or class probabilities.

        loss_n = - sum over c of  weight_c q_nc log softmax(input_n)_c
        q_n = (1 - label_smoothing) t_n + label_smoothing / C

    where t_n are the probabilities, or 1 at the label and 0 elsewhere. The mean divides by the sum
    of the labels' weights; given probabilities, by the number of rows.

    Args:
        input: logits (N, C), (C,) or (N, C, d1, ...), floating.
        target: integer labels 0 to C - 1 of the shape of ``input`` without C; or probabilities, of
            the dtype and shape of ``input``.
        weight: (C,), a factor for the loss of each class.
        ignore_index: rows with this label do not count.
        reduction: "mean", "sum", or "none" for a loss per row.
        label_smoothing: how much of each label is spread over all classes, from 0 to 1
            (C. Szegedy et al., "Rethinking the Inception architecture", CVPR 2016).

    Raises:
        IndexError: a label is not a class; the message names the row.
        TypeError: wrong dtypes.
        ValueError: wrong shapes, or the mean of an empty batch.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.cross_entropy(tg.tensor([[2.0, 0.0, 0.0]]), tg.tensor([0]))
    tensor(0.2395)
    """
    name = "cross_entropy"
    input, axis, weight = _classes_of(name, input, weight)
    target = as_tensor(name, "target", target)
    if not isinstance(label_smoothing, (int, float)) or not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"{name}: `label_smoothing` is a number from 0 to 1, not {label_smoothing!r}"
        )
    if target.layout.dtype.kind == "f" and target.layout.shape == input.layout.shape:
        if ignore_index >= 0:
            raise ValueError(
                f"{name}: `ignore_index` is {ignore_index}, but `target` holds probabilities, not "
                "labels; leave it out, and give the rows to be ignored probabilities of 0"
            )
        return _from_probabilities(input, target, weight, axis, reduction, float(label_smoothing))
    rows, labels = _rows(name, input, target, axis, reduction, ignore_index)
    out: Tensor = _cross_entropy(
        rows,
        labels,
        weight,
        ignore_index=ignore_index,
        label_smoothing=float(label_smoothing),
        reduction=reduction,
    )[0]
    return reshape(out, target.layout.shape) if reduction == "none" else out


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of class labels.

        loss_n = - weight_y input_ny        with y = target_n

    Args:
        input: log-probabilities (N, C), (C,) or (N, C, d1, ...), as from `log_softmax`.
        target: integer labels 0 to C - 1 of the shape of ``input`` without C.
        weight: as in `cross_entropy`.
        ignore_index: as in `cross_entropy`.
        reduction: as in `cross_entropy`.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.nll_loss(tg.tensor([[-0.5, -1.0], [-2.0, -0.25]]), tg.tensor([0, 1]))
    tensor(0.375)
    """
    input, axis, weight = _classes_of("nll_loss", input, weight)
    target = as_tensor("nll_loss", "target", target)
    rows, labels = _rows("nll_loss", input, target, axis, reduction, ignore_index)
    out: Tensor = _nll_loss(rows, labels, weight, ignore_index=ignore_index, reduction=reduction)[0]
    return reshape(out, target.layout.shape) if reduction == "none" else out


def _classes_of(name: str, input: Any, weight: Any) -> tuple[Any, int, Any]:
    """Return the input, the axis of its classes, and their weights, ones if not given."""
    input = as_floating(name, "input", input)
    shape = input.layout.shape
    if not shape or not shape[0 if len(shape) == 1 else 1]:
        raise ValueError(f"{name}: `input` must be (N, C) with at least one class, not {shape}")
    axis = 0 if len(shape) == 1 else 1
    if weight is None:
        return input, axis, filled((shape[axis],), 1.0, input.layout.dtype)
    weight = like(name, "weight", weight, "input", input, (shape[axis],))
    return input, axis, contiguous(weight.detach())


def _rows(
    name: str, input: Any, target: Any, axis: int, reduction: str, ignore_index: int
) -> tuple[Any, Any]:
    """Return the input as (N, C) and the labels as (N,) int64, checked."""
    x, y = input.layout, target.layout
    if not _are_rows(name, x, y, axis, reduction):
        target = target.long()
        if x.ndim != 2:
            input = reshape(permute(input, axis_last(axis, x.ndim)), (y.size, x.shape[axis]))
            target = reshape(target, (y.size,))
        input, target = contiguous(input), contiguous(target)
    _check_labels(target, function=name, shape=input.layout.shape, ignore_index=ignore_index)
    return input, target


@functools.lru_cache(maxsize=4096)
def _are_rows(name: str, x: Layout, y: Layout, axis: int, reduction: str) -> bool:
    """Return whether input and target are rows in C order; raise if they do not fit."""
    wanted = x.shape[:axis] + x.shape[axis + 1 :]
    if y.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: `target` is {y.dtype} of shape {y.shape}; for `input` of shape {x.shape} "
            f"wanted class labels, int64 of shape {wanted}: target.long()"
            + (f"; or probabilities, {x.dtype} of shape {x.shape}" if name != "nll_loss" else "")
        )
    if y.shape != wanted:
        raise ValueError(
            f"{name}: `target` has shape {y.shape}; for `input` of shape {x.shape} wanted class "
            f"labels of shape {wanted}"
        )
    reduction_of(name, reduction, y.size)
    return x.ndim == 2 and x.contiguous and y.dtype == INT64 and y.contiguous


def _from_probabilities(
    input: Any, target: Any, weight: Any, axis: int, reduction: str, label_smoothing: float
) -> Tensor:
    x = input.layout
    target = like("cross_entropy", "target", target, "input", input)
    rows = x.size // x.shape[axis]
    reduction_of("cross_entropy", reduction, rows)
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / x.shape[axis]
    weight = reshape(weight, (-1, *(1,) * (x.ndim - axis - 1)))
    losses = -(target * weight * log_softmax(input, axis))
    if reduction == "none":
        return reduce.sum(losses, axis)
    total = reduce.sum(losses)
    return total / rows if reduction == "mean" else total
