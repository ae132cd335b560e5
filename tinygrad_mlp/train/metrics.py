"""What is measured beside the loss: functions of a batch, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..autograd import no_grad
from ..data.arguments import one_of
from ..data.dataset import Array
from ..ops.create import zeros
from ..tensor import Tensor

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
    _check_classes(outputs.shape, targets.shape)
    return float(np.mean(outputs.argmax(axis=1) == targets))


def _correct(outputs: Tensor, targets: Tensor) -> Tensor:
    """The accuracy times the number of rows."""
    _check_classes(outputs.shape, targets.shape)
    right: Tensor = (outputs.argmax(1) == targets).sum()
    return right


def _check_classes(outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    if len(outputs) != 2 or len(targets) != 1 or outputs[1] < 2:
        raise ValueError(
            "accuracy needs outputs of shape (N, classes) and labels of shape (N,), "
            f"got {outputs} and {targets}; write metrics=() to go without"
        )


SUMS: dict[Metric, Callable[[Tensor, Tensor], Tensor]] = {accuracy: _correct}
"""Metrics that ops can compute: as a sum over the rows of a batch."""

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
    """The means of the loss and of metrics over the rows met so far, batch after batch.

    The sums are float64 tensors, added to by ops: as part of a training step they may be compiled.
    Only for metrics that no op computes the outputs have to come out to Python, batch by batch.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.rows = 0
        self.counted = {name: SUMS[m] for name, m in metrics.items() if m in SUMS}
        self.called = {name: m for name, m in metrics.items() if m not in SUMS}
        self.sums = {name: zeros((), dtype="float64") for name in ("loss", *self.counted)}
        self._called = dict.fromkeys(self.called, 0.0)
        self._names = ("loss", *metrics)

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch to the sums: its mean loss, the outputs (N, ...), the targets (N, ...)."""
        with no_grad():
            loss = loss.reshape(()) if loss.ndim else loss
            self.sums["loss"].add_(loss.to("float64") * targets.shape[0])
            for name, metric in self.counted.items():
                self.sums[name].add_(metric(outputs, targets).to("float64"))

    def met(self, rows: int) -> None:
        """So many rows were added."""
        self.rows += rows

    def call(self, outputs: Array, targets: Array) -> None:
        """Ask of one batch what only Python computes."""
        for name, metric in self.called.items():
            self._called[name] += len(targets) * float(metric(outputs, targets))

    def clear(self) -> None:
        """Begin anew."""
        self.rows, self._called = 0, dict.fromkeys(self.called, 0.0)
        for total in self.sums.values():
            total.zero_()

    def read(self) -> dict[str, float]:
        """The loss and each metric by name."""
        found = {name: float(total.item()) for name, total in self.sums.items()} | self._called
        return {name: found[name] / self.rows for name in self._names}
