"""What is done after each epoch of a fit: stopping early, keeping, telling.

A callback has any of the methods of :class:`Callback`; each is told of the :class:`Run`.

Example::

    stopping = EarlyStopping("val_accuracy", patience=5)
    tg.fit(model, optimizer, data, validation=held_out, callbacks=[stopping])
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .._common.validation import check_int
from ..nn import Module
from ..optim import Optimizer
from .checkpoint import save_checkpoint
from .history import History

Mode = Literal["auto", "min", "max"]


@dataclass(eq=False)
class Run:
    """A fit, as callbacks see it.

    Attributes:
        model, optimizer, scheduler: what is trained, and by what.
        history: the epochs that are done; ``history.last`` is the row of this one.
        epochs: how many there are to be.
        callbacks: all that are told.
        stopped: why it ends before its last epoch, or "".
        batch: how many batches of this epoch are done.
        so_far: gives the loss and the metrics over them.
    """

    model: Module
    optimizer: Optimizer
    scheduler: Any
    history: History
    epochs: int
    callbacks: Sequence[Any] = ()
    stopped: str = ""
    batch: int = 0
    so_far: Callable[[], dict[str, float]] = dict

    def __post_init__(self) -> None:
        given: Any = self.callbacks
        wrong = given  # if it is no sequence
        if isinstance(given, Sequence):
            wrong = next((each for each in given if not isinstance(each, Callback)), None)
        if wrong is not None:
            raise TypeError(
                f"callbacks must be a sequence of Callback, got {wrong!r:.60}; "
                "write callbacks=[EarlyStopping()]"
            )

    def stop(self, reason: str) -> None:
        """End the training after this epoch."""
        self.stopped = self.stopped or reason

    @property
    def over(self) -> bool:
        """Whether no epoch follows."""
        return bool(self.stopped) or len(self.history) >= self.epochs

    def tell(self, method: str) -> None:
        """Call this method of all callbacks, in their order."""
        for callback in self.callbacks:
            getattr(callback, method)(self)

    @property
    def by_batch(self) -> bool:
        """Whether a callback is to be told of batches."""
        return any(type(c).on_batch_end is not Callback.on_batch_end for c in self.callbacks)


class Callback:
    """Told at the beginning, after batches and epochs, and at the end; this one does nothing.

    A callback that has an ``on_batch_end`` cuts the native epoch into single steps, with Python
    between any two of them. That costs some thirty microseconds a batch, and what the method does;
    reading ``run.so_far()`` or a weight there is all it takes to look inside of an epoch.
    """

    def on_train_begin(self, run: Run) -> None:
        """Before the first epoch, or the first after going on."""

    def on_batch_end(self, run: Run) -> None:
        """After a batch: the weights are updated, and ``run.batch`` of them are done."""

    def on_epoch_end(self, run: Run) -> None:
        """After an epoch: its row is in the history, its schedule stepped."""

    def on_train_end(self, run: Run) -> None:
        """After the last epoch, also if Ctrl-C, or a loss that is no number, made it the last."""


class EarlyStopping(Callback):
    """Stop when ``monitor`` did not improve for ``patience`` epochs.

    Args:
        monitor: a column of the history; by default ``val_loss``, or ``loss`` without validation.
        patience: epochs without a better value that are waited for.
        mode: whether "min" or "max" is better; "auto" takes "min" for losses and errors.
        min_delta: what a value has to be better by, to count.
        restore_best: whether the model ends with the weights of its best epoch.

    L. Prechelt, "Early stopping - but when?", in Neural Networks: Tricks of the Trade, 1998.
    """

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 5,
        *,
        mode: Mode = "auto",
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'EarlyStopping: mode must be "auto", "min" or "max", got {mode!r}')
        self.monitor, self.mode, self.restore_best = monitor, mode, restore_best
        self.patience = check_int("patience", patience, minimum=1, example=5)
        self.min_delta = abs(float(min_delta))
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = math.nan, 0, 0
        self.best_weights: dict[str, Any] = {}

    def on_train_begin(self, run: Run) -> None:
        """Begin anew, unless the run goes on; if it had stopped before, it stops again."""
        if not len(run.history):
            self._forget()
        if self.waited >= self.patience:
            self._stop(run)

    def on_epoch_end(self, run: Run) -> None:
        """Compare with the best epoch so far."""
        row = run.history.last
        name = self.monitor or ("val_loss" if "val_loss" in row else "loss")
        if name not in row:
            raise ValueError(f"EarlyStopping: the history has no {name!r}; it has {', '.join(row)}")
        if self._better(name, row[name]):
            self.best, self.best_epoch, self.waited = row[name], int(row["epoch"]), 0
            if self.restore_best:
                state = run.model.state_dict()
                self.best_weights = {key: value.clone() for key, value in state.items()}
            return
        self.waited += 1
        if self.waited >= self.patience:
            self._stop(run)

    def _better(self, name: str, value: float) -> bool:
        if math.isnan(self.best):
            return not math.isnan(value)
        smaller = name.endswith(("loss", "error", "mse"))
        down = self.mode == "min" or (self.mode == "auto" and smaller)
        return (self.best - value if down else value - self.best) > self.min_delta

    def _stop(self, run: Run) -> None:
        run.stop(f"no better epoch than epoch {self.best_epoch} in {self.patience}")

    def on_train_end(self, run: Run) -> None:
        """Give the model its best weights back."""
        if self.best_weights:
            run.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """All that it remembers."""
        names = ("best", "best_epoch", "waited", "best_weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        vars(self).update({name: state_dict[name] for name in self.state_dict()})


class Checkpoint(Callback):
    """Write all that it takes to go on exactly, after an epoch: :func:`load_checkpoint` reads it.

    Args:
        path: of the file, ``.safetensors``.
        seconds: that pass at least between two writings; the last epoch is always written.

    It belongs behind callbacks that remember something, such as :class:`EarlyStopping`.
    """

    def __init__(self, path: str | os.PathLike[str], *, seconds: float = 0.0) -> None:
        self.path, self.seconds = path, seconds
        self.written = -math.inf

    def on_train_begin(self, run: Run) -> None:
        """Write the beginning."""
        self._write(run)

    def on_epoch_end(self, run: Run) -> None:
        """Write, if it is time to."""
        if run.over or time.monotonic() - self.written >= self.seconds:
            self._write(run)

    def _write(self, run: Run) -> None:
        save_checkpoint(
            self.path,
            run.model,
            run.optimizer,
            scheduler=run.scheduler,
            history=run.history,
            callbacks=run.callbacks,
        )
        self.written = time.monotonic()
