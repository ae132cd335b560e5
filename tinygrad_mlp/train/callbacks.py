"""Callbacks of `fit`: the base class, early stopping and checkpoints."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._common.files import remove_temporaries
from .._common.validation import check_int
from ..nn.state import prepare_load
from .checkpoint import save_checkpoint
from .exclusive import exclusive
from .metrics import Mode, metric_mode

if TYPE_CHECKING:
    from .trainer import Trainer


class Callback:
    """Base class of callbacks: override the methods for the events of interest.

    Each method is called with the :class:`Trainer`, which has the model, the optimizer and the
    history, and whose ``stop(reason)`` ends the training. A callback that overrides
    ``on_batch_end`` splits the native epoch into single steps, which costs about 30 microseconds
    per batch. State to be saved in checkpoints is returned by ``state_dict`` and restored by
    ``load_state_dict``, if the callback has them.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> class Print(Callback):
    ...     def on_epoch_end(self, trainer):
    ...         print("epoch", trainer.history.last["epoch"], "of", trainer.epochs)
    >>> model = nn.Linear(1, 1)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> data = [[1.0], [2.0]], [[2.0], [4.0]]
    >>> _ = tg.fit(model, optimizer, data, epochs=2, callbacks=[Print()], progress=False)
    epoch 1 of 2
    epoch 2 of 2
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """Called before the first epoch, also if ``history`` has earlier ones."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """Called after each batch and its update; ``trainer.batch`` counts the batches done."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Called after each epoch, when its row is in the history and the schedule was stepped."""

    def on_train_end(self, trainer: Trainer) -> None:
        """Called at the end, also after an error or Ctrl-C: ``trainer.stop_reason`` tells.

        It is called for every callback whose ``on_train_begin`` was called, even if another one
        raises; `fit` raises the first error, and later ones are added to it as notes.
        """


class EarlyStopping(Callback):
    """Stop when ``monitor`` has not improved for ``patience`` epochs.

    Args:
        monitor: a column of the history; by default ``val_loss``, or ``loss`` without validation.
        patience: number of epochs without improvement after which training stops.
        mode: "min" or "max" for what is better; "auto" is "min", unless ``monitor`` is a metric
            known to grow, such as accuracy (see :func:`metric_mode`).
        min_delta: the smallest change that counts as an improvement.
        restore_best: load the weights of the best epoch at the end.

    Attributes:
        best, best_epoch: the best value and its epoch.
        waited: the number of epochs since then.

    Raises:
        ValueError: ``patience`` or ``mode`` is wrong; before the first epoch, the history will
            have no such column.

    >>> stopping = EarlyStopping("val_accuracy", patience=10)
    >>> metric_mode(stopping.monitor, stopping.mode)
    'max'

    L. Prechelt, "Early stopping - but when?", in Neural Networks: Tricks of the Trade, 1998.
    """

    STATE = ("best", "best_epoch", "waited", "best_weights")

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 5,
        *,
        mode: Mode = "auto",
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        metric_mode("", mode)  # checks it
        self.monitor, self.mode, self.restore_best = monitor, mode, restore_best
        self.patience = check_int("patience", patience, minimum=1, example=5)
        self.min_delta = abs(float(min_delta))
        self._reset()

    def _reset(self) -> None:
        self.best, self.best_epoch, self.waited = math.nan, 0, 0
        self.best_weights: dict[str, Any] = {}

    def on_train_begin(self, trainer: Trainer) -> None:
        """Check the monitor; reset, unless the history has epochs; stop if patience is over."""
        if trainer.columns:
            self._column(trainer.columns)
        if not len(trainer.history):
            self._reset()
        if self.best_weights:  # of a checkpoint, perhaps of another network
            prepare_load(trainer.model, self.best_weights)
        self._stop_if_due(trainer)

    def _column(self, columns: Collection[str]) -> str:
        """Return the name of the monitored column; ValueError if the history will not have it."""
        name = self.monitor or ("val_loss" if "val_loss" in columns else "loss")
        if name in columns:
            return name
        validation = f"; pass validation=(x, y) for {name!r}" if name[4:] in columns else ""
        raise ValueError(
            f"EarlyStopping: monitor must be a column of the history, got {name!r}; it has "
            f"{', '.join(columns)}{validation}"
        )

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Compare with the best epoch so far."""
        row = trainer.history.last
        name = self._column(row)
        if self._improves(name, row[name]):
            self.best, self.best_epoch, self.waited = row[name], int(row["epoch"]), 0
            if self.restore_best:
                state = trainer.model.state_dict()
                self.best_weights = {key: value.clone() for key, value in state.items()}
        else:
            self.waited += 1
            self._stop_if_due(trainer)

    def _improves(self, name: str, value: float) -> bool:
        if math.isnan(self.best):
            return not math.isnan(value)
        gain = value - self.best if metric_mode(name, self.mode) == "max" else self.best - value
        return gain > self.min_delta

    def _stop_if_due(self, trainer: Trainer) -> None:
        if self.waited >= self.patience:
            trainer.stop(f"no improvement over epoch {self.best_epoch} in {self.waited} epochs")

    def on_train_end(self, trainer: Trainer) -> None:
        """Load the best weights into the model."""
        if self.best_weights:
            trainer.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch, its weights and the number of epochs since."""
        return {name: getattr(self, name) for name in self.STATE}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            TypeError, ValueError: for something else; then nothing was changed.
        """
        self._prepare_load(state_dict)()

    def _prepare_load(self, state_dict: Mapping[str, Any]) -> Callable[[], object]:
        """Check a state dict, and return the function that loads it."""
        if not isinstance(state_dict, Mapping) or not set(state_dict) >= set(self.STATE):
            raise TypeError(
                f"EarlyStopping.load_state_dict: `state_dict` must be a dict with "
                f"{', '.join(self.STATE)}"
            )
        for name, wanted in zip(self.STATE, (Real, int, int, Mapping), strict=True):
            if not isinstance(state_dict[name], wanted):
                raise ValueError(
                    f"EarlyStopping.load_state_dict: {name} must be {wanted.__name__}, got "
                    f"{state_dict[name]!r:.60}"
                )
        return functools.partial(vars(self).update, {n: state_dict[n] for n in self.STATE})


class Checkpoint(Callback):
    """Save a checkpoint after each epoch, from which :func:`load_checkpoint` continues exactly.

    Pass it after callbacks that have a state, such as :class:`EarlyStopping`. While a training
    writes to ``path``, another one that would do so is refused.

    Args:
        path: the file to write, ``.safetensors``.
        seconds: smallest time between two writes; the last epoch is always written.
        metadata: strings by name to write into the file too.

    Raises:
        BlockingIOError: at the start of a training, when another one writes to ``path``.
        OSError: the file cannot be written; the error names it.

    >>> import os, tempfile
    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> model = nn.Linear(1, 1)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> data = [[1.0], [2.0]], [[2.0], [4.0]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saving = Checkpoint(os.path.join(folder, "run.safetensors"), seconds=10)
    ...     _ = tg.fit(model, optimizer, data, epochs=2, callbacks=[saving], progress=False)
    ...     os.listdir(folder)
    ['run.safetensors']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        seconds: float = 0.0,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.seconds, self.metadata = path, seconds, metadata
        self.last_write = -math.inf
        self._lock = ExitStack()

    def on_train_begin(self, trainer: Trainer) -> None:
        """Lock the file and write the initial state."""
        path = Path(self.path)
        self._lock.enter_context(exclusive(path))
        remove_temporaries(path.parent, [path.name])
        self._write(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write, if ``seconds`` have passed or this is the last epoch."""
        if trainer.finished or time.monotonic() - self.last_write >= self.seconds:
            self._write(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        """Release the lock."""
        self._lock.close()

    def _write(self, trainer: Trainer) -> None:
        names = ("model", "optimizer", "scheduler", "history", "callbacks")
        parts = {name: getattr(trainer, name) for name in names}
        save_checkpoint(self.path, **parts, metadata=self.metadata)
        self.last_write = time.monotonic()
