"""What is measured beside the loss: functions of outputs and targets, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._common.array import Array
from .._common.validation import check_choice, check_int
from .._tensor import Tensor
from ..autograd.modes import no_grad
from ..ops.create import zeros
from .validation import array_of

Metric = Callable[[Array, Array], float]
"""``metric(outputs, targets)``: a mean over the rows of a batch; means of batches are averaged.

It is given arrays; those here take lists and Tensors too.
"""


def accuracy(outputs: Array, targets: Array) -> float:
    """The fraction of rows whose largest output is the target's: mean(argmax(o, 1) == t).

    Args:
        outputs: (N, C), logits or probabilities.
        targets: int64 (N,).

    Raises:
        ValueError: the shapes are others.

    >>> accuracy(np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([1, 1]))
    0.5
    """
    outputs, targets = _classes("accuracy", outputs, targets)
    return float(np.mean(outputs.argmax(axis=1) == targets))


@dataclass(frozen=True)
class TopK:
    """The fraction of rows in which fewer than ``k`` outputs are larger than the target's.

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
        """Of outputs (N, C) and labels (N,)."""
        outputs, targets = _places(self.__name__, outputs, targets)
        own = np.take_along_axis(outputs, targets[:, None], axis=1)
        return float(np.mean((outputs > own).sum(axis=1) < self.k))


def mse(outputs: Array, targets: Array) -> float:
    """The mean of the squared errors: mean((o - t)^2).

    >>> mse(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    2.0
    """
    outputs, targets = array_of(outputs), array_of(targets)
    _check_values("mse", outputs.shape, targets.shape)
    return float(np.mean((outputs - targets) ** 2))


def r2(outputs: Array, targets: Array) -> float:
    """The part of the targets' variance that is explained: 1 - sum (o - t)^2 / sum (t - mean)^2.

    Where the targets are all the same, 0. Outputs and targets have one column.

    >>> r2(np.array([[1.0], [3.0]]), np.array([[0.0], [4.0]]))
    0.75
    """
    outputs, targets = array_of(outputs), array_of(targets)
    _check_column(outputs.shape, targets.shape)
    error, t = np.square(outputs - targets, dtype=np.float64), targets.astype(np.float64)
    return _explained(error.mean(), t.mean(), np.square(t).mean())


def confusion_matrix(outputs: Array, targets: Array) -> Array:
    """Int64 (C, C): how many rows of the class of each row are said to be of that of each column.

    >>> confusion_matrix(np.eye(2)[[0, 1, 1]], np.array([0, 0, 1])).tolist()
    [[1, 1], [0, 1]]
    """
    outputs, targets = _places("confusion_matrix", outputs, targets)
    classes = outputs.shape[1]
    counts = np.bincount(targets * classes + outputs.argmax(axis=1), minlength=classes**2)
    matrix: Array = counts.reshape(classes, classes)
    return matrix


def _explained(error: float, mean: float, square: float) -> float:
    variance = square - mean**2
    return float(1 - error / variance) if variance > 0 else 0.0


def _classes(name: str, outputs: Any, targets: Any) -> tuple[Array, Array]:
    """Outputs (N, C) and labels (N,) as arrays, or an error."""
    outputs, targets = array_of(outputs), array_of(targets)
    _check_classes(name, outputs.shape, targets.shape)
    if targets.dtype.kind not in "biu":
        raise TypeError(f"{name} needs integer labels, got dtype {targets.dtype}")
    return outputs, targets.astype(np.int64, copy=False)


def _places(name: str, outputs: Any, targets: Any) -> tuple[Array, Array]:
    """Likewise, where each label says which of the outputs is meant."""
    outputs, targets = _classes(name, outputs, targets)
    classes = outputs.shape[1]
    if len(targets) and not 0 <= targets.min() <= targets.max() < classes:
        raise ValueError(
            f"{name} needs labels from 0 to {classes - 1}, because there are {classes} outputs, "
            f"got {targets.min()} to {targets.max()}"
        )
    return outputs, targets


def _check_classes(name: str, outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    if len(outputs) != 2 or len(targets) != 1 or outputs[1] < 2:
        raise ValueError(
            f"{name} needs outputs of shape (N, classes) and labels of shape (N,), "
            f"got {outputs} and {targets}; write metrics=() to go without"
        )


def _check_values(name: str, outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    if outputs != targets:
        raise ValueError(f"{name} needs targets of the outputs' shape, got {outputs} and {targets}")


def _check_column(outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    _check_values("r2", outputs, targets)
    if len(outputs) == 2 and outputs[1] > 1:
        raise ValueError(f"r2 is of one column, got outputs of shape {outputs}")


# --- by ops ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sums:
    """A metric that ops compute: by sums over the rows of a batch, and by what their means say."""

    functions: tuple[Callable[[Tensor, Tensor], Tensor], ...]
    finish: Callable[..., float] = float


def _correct(outputs: Tensor, targets: Tensor) -> Tensor:
    """The accuracy times the number of rows."""
    _check_classes("accuracy", outputs.shape, targets.shape)
    right: Tensor = (outputs.argmax(1) == targets).sum()
    return right


def _in_top(k: int) -> Callable[[Tensor, Tensor], Tensor]:
    def count(outputs: Tensor, targets: Tensor) -> Tensor:
        _check_classes(f"top_{k}_accuracy", outputs.shape, targets.shape)
        own = outputs.gather(1, targets.unsqueeze(1))
        within: Tensor = ((outputs > own).sum(1) < k).sum()
        return within

    return count


def _errors(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error times the number of rows."""
    _check_values("mse", outputs.shape, targets.shape)
    squares = (outputs - targets).square().sum() / max(1, outputs.numel() // outputs.shape[0])
    total: Tensor = squares
    return total


def _column_errors(outputs: Tensor, targets: Tensor) -> Tensor:
    _check_column(outputs.shape, targets.shape)
    total: Tensor = (outputs - targets).to("float64").square().sum()
    return total


def _targets(outputs: Tensor, targets: Tensor) -> Tensor:
    total: Tensor = targets.to("float64").sum()
    return total


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    total: Tensor = targets.to("float64").square().sum()
    return total


def by_ops(metric: Metric) -> Sums | None:
    """How ops compute ``metric``, if they can."""
    if isinstance(metric, TopK):
        return Sums((_in_top(metric.k),))
    return SUMS.get(metric)


SUMS: dict[Metric, Sums] = {
    accuracy: Sums((_correct,)),
    mse: Sums((_errors,)),
    r2: Sums((_column_errors, _targets, _squares), _explained),
}

METRICS: dict[str, Metric] = {"accuracy": accuracy, "top_5_accuracy": TopK(5), "mse": mse, "r2": r2}


def named(metrics: Sequence[str | Metric]) -> dict[str, Metric]:
    """The functions of ``metrics`` by name; one that is a function brings its own name.

    Raises:
        ValueError: an item is neither a function nor the name of one in :data:`METRICS`.
        TypeError: ``metrics`` is one string.
    """
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a sequence of names, got a string; write ({metrics!r},)")
    found: dict[str, Metric] = {}
    for metric in metrics:
        if callable(metric):
            found[getattr(metric, "__name__", type(metric).__name__)] = metric
        else:
            name = check_choice("metric", metric, METRICS)
            found[name] = METRICS[name]
    return found


class Means:
    """The means of the loss and of metrics over the rows met so far, batch after batch.

    The sums are float64 tensors, added to by ops: as part of a training step they may be compiled.
    Only for metrics that no op computes the outputs have to come out to Python, batch by batch.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.rows = 0
        found = {name: by_ops(metric) for name, metric in metrics.items()}
        self.counted = {name: sums for name, sums in found.items() if sums is not None}
        self.called = {name: m for name, m in metrics.items() if name not in self.counted}
        self.parts = {
            name: [name, *(f"{name}.{k}" for k in range(1, len(sums.functions)))]
            for name, sums in self.counted.items()
        }
        names = ["loss", *(part for parts in self.parts.values() for part in parts)]
        self.sums = {name: zeros((), dtype="float64") for name in names}
        self._called = dict.fromkeys(self.called, 0.0)
        self._names = ("loss", *metrics)

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch to the sums: its mean loss, the outputs (N, ...), the targets (N, ...)."""
        with no_grad():
            loss = loss.reshape(()) if loss.ndim else loss
            self.sums["loss"].add_(loss.to("float64") * targets.shape[0])
            for name, sums in self.counted.items():
                for part, function in zip(self.parts[name], sums.functions, strict=True):
                    self.sums[part].add_(function(outputs, targets).to("float64"))

    def met(self, rows: int) -> None:
        """So many rows were added."""
        self.rows += rows

    def call(self, outputs: Array, targets: Array) -> None:
        """Ask of one batch what only Python computes."""
        for name, metric in self.called.items():
            value = metric(outputs, targets)
            if np.ndim(value):
                raise TypeError(
                    f"metric {name!r} must give a number, got an array of shape {np.shape(value)}; "
                    "ask for what is no number after the training"
                )
            self._called[name] += len(targets) * float(value)

    def clear(self) -> None:
        """Begin anew."""
        self.rows, self._called = 0, dict.fromkeys(self.called, 0.0)
        for total in self.sums.values():
            total.zero_()

    def read(self) -> dict[str, float]:
        """The loss and each metric by name."""
        means = {name: float(total.item()) / self.rows for name, total in self.sums.items()}
        found = {name: value / self.rows for name, value in self._called.items()}
        for name, sums in self.counted.items():
            found[name] = sums.finish(*(means[part] for part in self.parts[name]))
        return {"loss": means["loss"]} | {name: found[name] for name in self._names[1:]}
