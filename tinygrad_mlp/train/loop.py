"""The training loop: `fit` and `evaluate`.

One epoch is ``for x, y in batches: zero_grad, loss = L(model(x), y), backward, step``; that is in
``course.py``. All else is what a person would write around it: data checked before the first step,
modes set and put back, losses and metrics averaged over rows, a stop where a loss is no number any
more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from ..autograd import no_grad
from ..data.arguments import whole
from ..data.batching import Batches
from ..nn import Module
from ..nn import functional as F
from ..ops.batch import NotFinite
from ..optim import Optimizer
from ..optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from .course import Course, Loss, Training
from .history import History
from .metrics import Metric, accuracy, named
from .prepare import (
    Rows,
    check_batches,
    check_optimizer,
    check_targets,
    keeping_modes,
    prepare,
)
from .progress import Reporter, reporter
from .runner import Runner


def fit(
    model: Module,
    optimizer: Optimizer,
    data: Any,
    *,
    validation: Any = None,
    epochs: int = 20,
    batch_size: int = 128,
    shuffle: bool = True,
    drop_last: bool = False,
    loss: Loss | None = None,
    metrics: Sequence[str | Metric] | None = None,
    scheduler: Any = None,
    seed: int = 0,
    progress: bool | Literal["auto"] = True,
    compile: bool = True,
) -> History:
    """Train ``model`` in place on ``data``, epoch after epoch; returns what each one measured.

    Args:
        data: (x, y), arrays or Tensors, or a Dataset: x (N, F), cast to the model's dtype; y (N,)
            integer labels, or floating-point values of the shape of the model's outputs.
        validation: (x, y) to evaluate after each epoch.
        batch_size: rows in a step. The last batch is what is left over, unless ``drop_last``.
        shuffle: whether each epoch takes the rows in an order of its own, drawn by ``seed``
            (weights and dropout follow ``tg.manual_seed``).
        loss: by default ``F.cross_entropy`` for labels, ``F.mse_loss`` for values.
        metrics: names, or functions of (outputs, targets) arrays; by default accuracy for labels
            under the default loss. In training they are of the batches as they were met.
        scheduler: stepped after each epoch; ``OneCycleLR`` after each batch, and
            ``ReduceLROnPlateau`` with ``val_loss``, or ``loss`` if there is no validation.
        progress: True for a live bar on a terminal and a line per epoch elsewhere, "auto" for
            the bar only, False for silence.
        compile: train natively, by a program of the step that the first batch is captured as (see
            ``tg.compile``); False runs each batch in Python. Both give the same numbers. What
            cannot be captured, as hooks and ``.item()`` in a loss, runs in Python with a warning.

    Raises:
        TypeError, ValueError: an argument or the data are wrong; nothing was trained.
        RuntimeError: called inside ``no_grad()``.
        FloatingPointError: a loss became inf or nan; the model, its weights and its buffers, is as
            it was before that batch.

    Example::

        history = tg.fit(model, optimizer, (x, y), validation=(x_test, y_test), epochs=20)
    """
    epochs = whole("epochs", epochs, least=1, write=20)
    check_optimizer(model, optimizer)
    rows = prepare("data", data, model)
    held_out = None if validation is None else prepare("validation", validation, model)
    batches = Batches((rows.x, rows.y), batch_size, shuffle, drop_last, seed)
    check_batches(model, batches)
    objective = _Objective(model, rows, loss, metrics)
    if held_out is not None:
        objective.check(model, held_out)
    said: set[str] = set()  # why it is not compiled, if so
    training = _Training(model, optimizer, objective, scheduler, batches, epochs, compile, said)
    measuring = None if held_out is None else _Measuring(
        model, objective, held_out, max(batch_size, 1024), epochs, compile, said
    )  # fmt: skip
    history = History()
    with keeping_modes(model), reporter(progress, epochs, len(batches)) as report:
        for epoch in range(1, epochs + 1):
            row, pace = training.epoch(epoch, report)
            if measuring is not None:
                row |= {f"val_{name}": value for name, value in measuring().items()}
            history.append(row | pace)
            report.epoch(history.last)
            training.ended(row)
    return history


def evaluate(
    model: Module,
    data: Any,
    *,
    batch_size: int = 1024,
    loss: Loss | None = None,
    metrics: Sequence[str | Metric] | None = None,
    compile: bool = True,
) -> dict[str, float]:
    """The mean ``loss`` and metrics of ``model`` over the rows of ``data``, in eval mode.

    Arguments and errors are those of :func:`fit`; nothing is changed, and nothing is recorded.
    A model that is asked for few batches is not compiled.

    Example::

        evaluate(model, (x_test, y_test))  # {'loss': 0.0841, 'accuracy': 0.9833}
    """
    rows = prepare("data", data, model)
    whole("batch_size", batch_size, least=1, write=1024)
    objective = _Objective(model, rows, loss, metrics)
    with keeping_modes(model):
        return _Measuring(model, objective, rows, batch_size, 1, compile)()


class _Objective:
    """The loss and the metrics: what to ask of a batch."""

    def __init__(
        self,
        model: Module,
        rows: Rows,
        loss: Loss | None,
        metrics: Sequence[str | Metric] | None,
    ) -> None:
        if loss is not None and not callable(loss):
            raise TypeError(
                f"loss must be a function of (outputs, targets), got {type(loss).__name__} "
                f"{loss!r:.60}; write loss=F.mse_loss"
            )
        self.own = loss is None
        self.loss: Loss = loss or (F.cross_entropy if rows.labels else F.mse_loss)
        default = [accuracy] if self.own and rows.labels else []
        self.metrics = named(default if metrics is None else metrics)
        self.labels = rows.labels
        self.check(model, rows)

    def check(self, model: Module, rows: Rows) -> None:
        """Refuse targets that do not fit the model's outputs, or that differ in kind."""
        if rows.labels != self.labels:
            raise TypeError(
                f"y of {rows.name} has dtype {rows.y.dtype}, where y of data are "
                f"{'integer labels' if self.labels else 'floating-point values'}"
            )
        if self.own:
            check_targets(model, rows)


class _Training:
    """Epochs of updates of the weights, and what follows a batch and an epoch."""

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        objective: _Objective,
        scheduler: Any,
        batches: Batches,
        epochs: int,
        compile: bool,
        said: set[str],
    ) -> None:
        self.optimizer, self.scheduler = optimizer, scheduler
        self.course = Training(model, objective.loss, objective.metrics, batches, optimizer)
        self.by_batch = isinstance(scheduler, OneCycleLR)
        self.runner = Runner(self.course, batches, epochs, compile, singly=self.by_batch, said=said)

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def epoch(self, number: int, report: Reporter) -> tuple[dict[str, float], dict[str, float]]:
        """The means over the rows of one epoch, and how fast it went."""
        self.course.model.train()
        means, lr, start = self.course.means, self.lr, time.perf_counter()

        def told(done: int) -> None:
            if self.by_batch:
                self.scheduler.step()
            report.batch(number, done, means)

        try:
            self.runner.epoch(number, told)
        except NotFinite as error:
            self.optimizer.zero_grad()
            raise FloatingPointError(
                f"the loss became {error.value} in epoch {number}, batch "
                f"{self.course.cursor.item() + 1}, with lr={self.lr:g}; the weights are "
                "those before this batch. Lower lr, clip the gradients, or scale the inputs"
            ) from None
        seconds = time.perf_counter() - start
        pace = {"lr": lr, "seconds": seconds, "samples_per_second": means.rows / seconds}
        return {"epoch": number} | means.read(), pace

    def ended(self, row: dict[str, float]) -> None:
        """Step the schedule after an epoch."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row.get("val_loss", row["loss"]))
        elif self.scheduler is not None and not self.by_batch:
            self.scheduler.step()


class _Measuring:
    """Losses and metrics over all rows, in eval mode, which it leaves the model in."""

    def __init__(
        self,
        model: Module,
        objective: _Objective,
        rows: Rows,
        batch_size: int,
        times: int,
        compile: bool,
        said: set[str] | None = None,
    ) -> None:
        batches = Batches((rows.x, rows.y), min(batch_size, len(rows)), shuffle=False)
        self.course = Course(model, objective.loss, objective.metrics, batches)
        self.runner = Runner(self.course, batches, times, compile, said=said)

    def __call__(self) -> dict[str, float]:
        self.course.model.eval()
        with no_grad():
            self.runner.epoch(0)
        return self.course.means.read()
