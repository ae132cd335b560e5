"""The loop over epochs, and what surrounds it: callbacks, schedule, history, Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..nn import Module
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau
from .callbacks import Callback
from .epoch import Epoch, TrainEpoch
from .history import NOT_METRICS, History
from .progress import Reporter
from .sigint import Interrupted, defer_sigint


@dataclass(eq=False)
class Trainer:
    """The state of one :func:`~tinygrad_mlp.fit`, which each callback is called with.

    Attributes:
        model, optimizer, scheduler: what `fit` was called with.
        history: the epochs done so far; ``history.last`` is the row of the last one.
        epochs: the number of epochs to train in all.
        callbacks: in the order in which they are called.
        columns: the names of the columns that a row of the history will have.
        stop_reason: why training ends early, or "".
        batch: the number of batches of this epoch done so far.
        running_metrics: returns the mean loss and metrics over these batches.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> class Enough(tg.train.Callback):
    ...     def on_epoch_end(self, trainer: Trainer) -> None:
    ...         if trainer.history.last["loss"] < 0.01:
    ...             trainer.stop("the loss is small enough")
    >>> model, data = nn.Linear(1, 1), ([[1.0], [2.0]], [[2.0], [4.0]])
    >>> optimizer = optim.SGD(model.parameters(), lr=0.2)
    >>> history = tg.fit(model, optimizer, data, epochs=999, callbacks=[Enough()], progress=False)
    >>> len(history) < 999
    True
    """

    model: Module
    optimizer: Optimizer
    scheduler: LRScheduler | None
    history: History
    epochs: int
    callbacks: Sequence[Callback] = ()
    columns: tuple[str, ...] = ()
    stop_reason: str = ""
    batch: int = 0
    running_metrics: Callable[[], dict[str, float]] = dict

    def __post_init__(self) -> None:
        wrong: object = self.callbacks
        if isinstance(self.callbacks, Sequence):
            wrong = next((c for c in self.callbacks if not isinstance(c, Callback)), None)
        if wrong is not None:
            raise TypeError(
                f"callbacks must be a sequence of Callback, got {wrong!r:.60}; "
                "write callbacks=[EarlyStopping()]"
            )

    def stop(self, reason: str) -> None:
        """End the training after this epoch; the first reason is kept."""
        self.stop_reason = self.stop_reason or reason

    @property
    def finished(self) -> bool:
        """Whether no further epoch follows."""
        return bool(self.stop_reason) or len(self.history) >= self.epochs

    @property
    def by_batch(self) -> bool:
        """Whether the schedule or a callback has to be called after each batch."""
        overridden = (type(c).on_batch_end is not Callback.on_batch_end for c in self.callbacks)
        return isinstance(self.scheduler, OneCycleLR) or any(overridden)

    def run(self, epoch: TrainEpoch, validation: Epoch | None, report: Reporter) -> None:
        """Train until the last epoch, a call of `stop`, Ctrl-C or an error.

        ``on_train_end`` is called in each case, for every callback whose ``on_train_begin`` was.
        """
        begun: list[Callback] = []
        self.running_metrics = epoch.means.read
        measured = ("loss", *epoch.means.metrics)
        held_out = tuple(f"val_{name}" for name in measured) if validation is not None else ()
        self.columns = ("epoch", *measured, *held_out, *NOT_METRICS[1:])
        with defer_sigint() as sigint:
            try:
                for callback in self.callbacks:
                    begun.append(callback)
                    callback.on_train_begin(self)
                while not self.finished:
                    self._run_epoch(epoch, validation, report)
                    if sigint.pressed:
                        self.stop("Ctrl-C")
                    for callback in self.callbacks:
                        callback.on_epoch_end(self)
            except BaseException as error:
                self.stop(repr(error))
                self._end(begun, error)
                raise
            self._end(begun)
        if self.stop_reason and not sigint.pressed:
            report.stopped(f"stopped after epoch {len(self.history)}: {self.stop_reason}")
        if sigint.pressed:
            raise Interrupted(self.history)

    def _end(self, begun: list[Callback], error: BaseException | None = None) -> None:
        """Call ``on_train_end``; the first error is raised, later ones become notes of it."""
        first = error
        for callback in begun:
            try:
                callback.on_train_end(self)
            except BaseException as later:
                if first is not None:
                    first.add_note(f"{type(callback).__name__}.on_train_end then raised {later!r}")
                first = later if first is None else first
        if first is not None and error is None:
            raise first

    def _run_epoch(self, epoch: TrainEpoch, validation: Epoch | None, report: Reporter) -> None:
        """Train for one epoch, validate, add a row to the history, step the schedule."""
        number, lr = len(self.history) + 1, float(self.optimizer.param_groups[0]["lr"])
        scheduler = self.scheduler

        def after_slice(done: int) -> None:
            if isinstance(scheduler, OneCycleLR):
                scheduler.step()
            report.batch(number, done, epoch.means)
            self.batch = done
            for callback in self.callbacks:
                callback.on_batch_end(self)

        start = time.perf_counter()
        row = {"epoch": number} | epoch.run(number, after_slice)
        seconds = time.perf_counter() - start
        if validation is not None:
            row |= {f"val_{name}": value for name, value in validation.run().items()}
        speed = {"lr": lr, "seconds": seconds, "samples_per_second": epoch.means.rows / seconds}
        self.history.append(row | speed)
        report.epoch(self.history.last)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(row.get("val_loss", row["loss"]))
        elif scheduler is not None and not isinstance(scheduler, OneCycleLR):
            scheduler.step()
