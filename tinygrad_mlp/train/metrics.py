"""What is measured beside the loss: functions of a batch, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..data.arguments import one_of
from ..data.dataset import Array

Metric = Callable[[Array, Array], float]
"""``metric(outputs, targets)``: a mean over the rows of a batch; means of batches are averaged."""


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
    if outputs.ndim != 2 or targets.ndim != 1 or outputs.shape[1] < 2:
        raise ValueError(
            "accuracy needs outputs of shape (N, classes) and labels of shape (N,), "
            f"got {outputs.shape} and {targets.shape}; write metrics=() to go without"
        )
    return float(np.mean(outputs.argmax(axis=1) == targets))


METRICS: dict[str, Metric] = {"accuracy": accuracy}


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
            name = one_of("metric", metric, METRICS)
            found[name] = METRICS[name]
    return found


class Means:
    """The means of the loss and of ``metrics`` over the rows met so far, batch after batch."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.metrics = metrics
        self.rows = 0
        self._sums = dict.fromkeys(("loss", *metrics), 0.0)

    def add(self, loss: float, outputs: Array, targets: Array) -> None:
        """Count one batch: its mean loss, the outputs (N, ...) and the targets (N, ...)."""
        rows = len(targets)
        self.rows += rows
        self._sums["loss"] += rows * loss
        for name, metric in self.metrics.items():
            self._sums[name] += rows * float(metric(outputs, targets))

    def read(self) -> dict[str, float]:
        """The loss and each metric by name."""
        return {name: value / self.rows for name, value in self._sums.items()}
