"""Metrics: functions of outputs and targets, and their running means over batches.

Each built-in metric is defined by sums over a batch (:class:`BatchSums`). Ops compute them, so they
become a part of the compiled training step; called with arrays, the metric takes all rows as one
batch. A user's own metric is any function of arrays, called in Python after each batch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from .._common.array import Array
from .._common.validation import check_choice, check_int
from .._tensor import Tensor
from ..autograd.modes import no_grad
from ..ops.create import tensor, zeros
from .validation import to_array

Metric = Callable[[Array, Array], float]
"""``metric(outputs, targets)`` of arrays: a mean over the rows of a batch. Means of batches are
averaged, weighted by their numbers of rows."""

Mode = Literal["auto", "min", "max"]

GROWING = (
    "acc|accuracy|auc|auroc|precision|recall|sensitivity|specificity|f1|f1_?score|fbeta|r2|"
    "r2_?score|r_squared|explained_variance|iou|dice|kappa|mcc|ndcg"
)


def metric_mode(name: str, mode: Mode = "auto") -> Literal["min", "max"]:
    """Return "max" if larger values of a metric are better, else "min".

    As in Keras, "auto" minimises unless the name is that of a metric known to grow: accuracy, auc,
    precision, recall, f1, r2 and the like, as a word of the name (``val_top_5_accuracy``); a name
    that ends with ``loss`` or ``error`` is minimised.

    Raises:
        ValueError: ``mode`` is not "auto", "min" or "max".

    >>> [metric_mode(name) for name in ("val_loss", "val_mae", "val_accuracy", "r2")]
    ['min', 'min', 'max', 'max']
    >>> metric_mode("profit", "max")
    'max'
    """
    if mode not in ("auto", "min", "max"):
        raise ValueError(f'mode must be "auto", "min" or "max", got {mode!r}')
    if mode != "auto":
        return mode
    name = name.lower()
    grows = re.search(rf"(^|_)({GROWING})(_|$)", name) and not name.endswith(("loss", "error"))
    return "max" if grows else "min"


def accuracy(outputs: Array, targets: Array) -> float:
    """Fraction of rows whose largest output is that of the target: mean(argmax(o, 1) == t).

    Args:
        outputs: (N, C), logits or probabilities.
        targets: integer labels (N,).

    Raises:
        ValueError: the shapes differ from these.
        TypeError: the labels are not integers.

    >>> accuracy(np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([1, 1]))
    0.5
    """
    return _of_all_rows(accuracy, outputs, targets)


@dataclass(frozen=True)
class TopK:
    """Fraction of rows in which fewer than ``k`` outputs are larger than that of the target.

    Called with outputs (N, C) and integer labels (N,); its name is ``top_<k>_accuracy``.

    Raises:
        ValueError: ``k`` is below 1, the shapes differ, or a label is not below C.

    >>> TopK(2)(np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), np.array([1, 2]))
    0.5
    """

    k: int = 5

    def __post_init__(self) -> None:
        check_int("k", self.k, minimum=1, example=5)

    @property
    def __name__(self) -> str:
        return f"top_{self.k}_accuracy"

    def __call__(self, outputs: Array, targets: Array) -> float:
        """Return the fraction for outputs (N, C) and labels (N,)."""
        return _of_all_rows(self, *_as_labels(self.__name__, outputs, targets))

    def correct(self, outputs: Tensor, targets: Tensor, shift: Tensor) -> Tensor:
        """Return the number of such rows (see :class:`BatchSums`)."""
        _check_classes(self.__name__, outputs, targets)
        target_outputs = outputs.gather(1, targets.unsqueeze(1))
        count: Tensor = ((outputs > target_outputs).sum(1) < self.k).sum()
        return count


def mse(outputs: Array, targets: Array) -> float:
    """Mean squared error mean((o - t)^2), over all elements.

    Args:
        outputs, targets: floating-point arrays of one shape.

    Raises:
        ValueError: the shapes differ.

    >>> mse(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    2.0
    """
    return _of_all_rows(mse, outputs, targets)


def r2(outputs: Array, targets: Array) -> float:
    """Coefficient of determination 1 - sum (o - t)^2 / sum (t - mean(t))^2.

    0 if all targets are equal. The variance is summed around the median of the targets, in float64.

    Args:
        outputs, targets: floating-point arrays of one shape, (N,) or (N, 1).

    Raises:
        ValueError: the shapes differ, or there are several columns.

    >>> r2(np.array([[1.0], [3.0]]), np.array([[0.0], [4.0]]))
    0.75
    """
    return _of_all_rows(r2, outputs, targets)


def confusion_matrix(outputs: Array, targets: Array) -> Array:
    """Return counts, int64 (C, C): entry [i, j] is the number of rows of class i predicted as j.

    Args:
        outputs: (N, C), logits or probabilities.
        targets: integer labels (N,).

    Raises:
        ValueError: the shapes differ from these, or a label is not below C.

    >>> confusion_matrix(np.eye(2)[[0, 1, 1]], np.array([0, 0, 1])).tolist()
    [[1, 1], [0, 1]]
    """
    outputs, targets = _as_labels("confusion_matrix", outputs, targets)
    classes = outputs.shape[1]
    counts = np.bincount(targets * classes + outputs.argmax(axis=1), minlength=classes**2)
    matrix: Array = counts.reshape(classes, classes)
    return matrix


def _as_labels(name: str, outputs: Any, targets: Any) -> tuple[Array, Array]:
    """Return outputs (N, C) and labels (N,) as arrays; raise if a label is not below C."""
    outputs, targets = to_array(outputs), to_array(targets)
    _check_classes(name, outputs, targets)
    classes = outputs.shape[1]
    if len(targets) and not 0 <= targets.min() <= targets.max() < classes:
        raise ValueError(
            f"{name} needs labels from 0 to {classes - 1}, because there are {classes} outputs, "
            f"got {targets.min()} to {targets.max()}"
        )
    return outputs, targets.astype(np.int64)


def _check_classes(name: str, outputs: Any, targets: Any) -> None:
    N, *classes = outputs.shape or (0,)
    if len(classes) != 1 or classes[0] < 2 or targets.shape != (N,):
        raise ValueError(
            f"{name} needs outputs of shape (N, classes) and labels of shape (N,), "
            f"got {outputs.shape} and {targets.shape}; write metrics=() to go without"
        )
    if targets.dtype.kind not in "biu":
        raise TypeError(f"{name} needs integer labels, got dtype {targets.dtype}")


# --- sums over a batch ----------------------------------------------------------------------------


@dataclass(frozen=True)
class BatchSums:
    """A metric as sums over the rows of a batch, and as a function of the means over all rows.

    Each of ``functions`` takes (outputs, targets, shift); the shift, a float64 0-d tensor, is the
    median of all targets.
    """

    functions: tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...]
    finish: Callable[..., float] = float


def _correct(outputs: Tensor, targets: Tensor, shift: Tensor) -> Tensor:
    _check_classes("accuracy", outputs, targets)
    count: Tensor = (outputs.argmax(1) == targets).sum()
    return count


def _check_values(name: str, outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape != targets.shape:
        raise ValueError(
            f"{name} needs targets of the outputs' shape, got {outputs.shape} and {targets.shape}"
        )


def _squared_errors(outputs: Tensor, targets: Tensor, shift: Tensor) -> Tensor:
    _check_values("mse", outputs, targets)
    columns = max(1, outputs.numel() // outputs.shape[0])
    total: Tensor = (outputs - targets).square().sum() / columns
    return total


def _column_errors(outputs: Tensor, targets: Tensor, shift: Tensor) -> Tensor:
    _check_values("r2", outputs, targets)
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        raise ValueError(f"r2 is of one column, got outputs of shape {outputs.shape}")
    total: Tensor = (outputs - targets).to("float64").square().sum()
    return total


def _explained(error: float, mean: float, square: float) -> float:
    """Return r2 from the means of (o - t)^2, t - shift and (t - shift)^2."""
    variance = square - mean**2
    return 1 - error / variance if variance > 0 else 0.0


BATCH_SUMS: dict[Metric, BatchSums] = {
    accuracy: BatchSums((_correct,)),
    mse: BatchSums((_squared_errors,)),
    r2: BatchSums(
        (
            _column_errors,
            lambda outputs, targets, shift: (targets.to("float64") - shift).sum(),
            lambda outputs, targets, shift: (targets.to("float64") - shift).square().sum(),
        ),
        _explained,
    ),
}

METRICS: dict[str, Metric] = {"accuracy": accuracy, "top_5_accuracy": TopK(5), "mse": mse, "r2": r2}


def batch_sums(metric: Metric) -> BatchSums | None:
    """Return how ops compute ``metric``; None if only Python can."""
    return BatchSums((metric.correct,)) if isinstance(metric, TopK) else BATCH_SUMS.get(metric)


def _of_all_rows(metric: Metric, outputs: Any, targets: Any) -> float:
    """Return a built-in metric of arrays, lists or Tensors, in float64."""
    outputs, targets = to_array(outputs).astype(np.float64), to_array(targets)
    if not outputs.size:
        raise ValueError(f"a metric needs at least one row, got outputs of shape {outputs.shape}")
    means = RunningMeans({"metric": metric}, targets)
    means.add(zeros(()), tensor(outputs), tensor(targets))
    means.count_rows(len(outputs))
    return means.read()["metric"]


def resolve_metrics(metrics: Sequence[str | Metric]) -> dict[str, Metric]:
    """Return the functions of ``metrics`` by name; a function is called by its own name.

    Raises:
        ValueError: an item is neither a function nor a name in :data:`METRICS`.
        TypeError: ``metrics`` is one string.
    """
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a sequence of names, got a string; write ({metrics!r},)")
    found: dict[str, Metric] = {}
    for metric in metrics:
        if callable(metric):
            found[getattr(metric, "__name__", type(metric).__name__)] = metric
        else:
            found[metric] = METRICS[check_choice("metric", metric, METRICS)]
    return found


class RunningMeans:
    """The mean loss and metrics over the rows of the batches so far.

    The sums are float64 tensors that ops add to, so they can be a part of a compiled step. Metrics
    without :class:`BatchSums` are called in Python with the outputs of each batch.

    Args:
        metrics: functions by name.
        targets: all targets, whose median is the shift of :class:`BatchSums`. A variance
            E[(t - s)^2] - (E[t] - s)^2 cancels if the mean is many standard deviations from s; the
            median is at most one, and equal targets give exactly 0.
    """

    def __init__(self, metrics: Mapping[str, Metric], targets: Array) -> None:
        self.rows = 0
        self.metrics = metrics
        found = {name: batch_sums(metric) for name, metric in metrics.items()}
        self.by_ops = {name: sums for name, sums in found.items() if sums is not None}
        self.in_python = {name: m for name, m in metrics.items() if name not in self.by_ops}
        shift = np.median(targets.astype(np.float64)) if r2 in metrics.values() else 0.0
        self.shift = tensor(shift, dtype="float64")
        self.terms = {
            f"{name}.{k}" if k else name: function
            for name, sums in self.by_ops.items()
            for k, function in enumerate(sums.functions)
        }
        self.sums = {name: zeros((), dtype="float64") for name in ("loss", *self.terms)}
        self.python_sums = dict.fromkeys(self.in_python, 0.0)

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch to the sums: its mean loss, the outputs (N, ...), the targets (N, ...)."""
        with no_grad():
            loss = loss.reshape(()) if loss.ndim else loss
            self.sums["loss"].add_(loss.to("float64") * targets.shape[0])
            for name, function in self.terms.items():
                self.sums[name].add_(function(outputs, targets, self.shift).to("float64"))

    def count_rows(self, rows: int) -> None:
        """Count the rows of batches that were added."""
        self.rows += rows

    def add_in_python(self, outputs: Array, targets: Array) -> None:
        """Add a batch to the metrics that are computed in Python."""
        for name, metric in self.in_python.items():
            value = metric(outputs, targets)
            if np.ndim(value):
                raise TypeError(
                    f"metric {name!r} must return a number, got an array of shape "
                    f"{np.shape(value)}; compute it after the training instead"
                )
            self.python_sums[name] += len(targets) * float(value)

    def clear(self) -> None:
        """Set all sums to 0."""
        self.rows, self.python_sums = 0, dict.fromkeys(self.in_python, 0.0)
        for total in self.sums.values():
            total.zero_()

    def read(self) -> dict[str, float]:
        """Return the mean loss and each metric, by name in the order of ``metrics``."""
        means = iter([float(total.item()) / self.rows for total in self.sums.values()])
        found = {"loss": next(means)} | dict.fromkeys(self.metrics, math.nan)
        found |= {name: value / self.rows for name, value in self.python_sums.items()}
        for name, sums in self.by_ops.items():
            found[name] = sums.finish(*islice(means, len(sums.functions)))
        return found
