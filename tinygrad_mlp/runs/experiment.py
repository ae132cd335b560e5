"""A whole training run by a recipe: prepared, trained, evaluated, and written into a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .._common.files import writable_folder
from ..data import Batches, Dataset, split
from ..nn import Sequential
from ..ops.random import manual_seed
from ..optim import Optimizer
from ..serialization import save
from ..train import plots
from ..train.callbacks import Callback, Checkpoint, EarlyStopping
from ..train.checkpoint import load_checkpoint
from ..train.fit import fit
from ..train.history import History
from ..train.loggers import TensorBoard
from ..train.objective import Penalty
from ..train.sigint import Interrupted, defer_sigint
from ..train.trainer import Trainer
from .config import Settings
from .run_folder import (
    BOUNDARY,
    CHECKPOINT,
    CONFIG,
    CURVES,
    FILES,
    HISTORY,
    MISTAKES,
    MODEL,
    SURFACE,
    Description,
    metrics,
    pair,
    scores,
)

ANY_LENGTH = ("constant", "plateau")
"""The schedules that do not depend on the number of epochs."""


@dataclass(frozen=True, eq=False)
class Job:
    """A run that is ready to start, or to go on; :func:`prepare` makes it.

    Attributes:
        description: its settings and what else ``config.json`` says.
        train: the rows to learn from.
        validation: those to look at after each epoch; where they decide something, as early
            stopping and the plateau of a schedule, a tenth of the rows to learn from.
        test: those held out, which decide nothing.
        history: the epochs that it had when it was stopped.
        callbacks: early stopping if asked for, and the checkpoint.
    """

    description: Description
    train: Dataset
    validation: Dataset
    test: Dataset
    model: Sequential
    optimizer: Optimizer
    scheduler: Any
    history: History
    callbacks: tuple[Callback, ...]
    folder: Path

    @property
    def settings(self) -> Settings:
        """What decides the run."""
        return self.description.settings

    def __str__(self) -> str:
        size = sum(parameter.numel() for parameter in self.model.parameters())
        settings = self.settings
        gone = f", {len(self.history)} of them done" if len(self.history) else ""
        return (
            f"{self.train.name}: {len(self.train.y):,} rows to learn from, "
            f"{len(self.test.y):,} held out, {self._aim}\n"
            f"model: {size:,} parameters, {self.optimizer.name} with lr {settings.lr:g}, "
            f"{settings.epochs} epochs of batches of {settings.batch_size}{gone}, "
            f"seed {settings.seed}"
        )

    @property
    def _aim(self) -> str:
        """What is predicted."""
        preprocessor = self.description.preprocessor
        kind = f"{len(preprocessor.classes)} classes" if preprocessor.classes else "values"
        of = f" of {preprocessor.target.name!r}" if preprocessor.column_names else ""
        return f"to predict {kind}{of}"

    def run(self, progress: bool | Literal["auto"] = True) -> Outcome:
        """Train, evaluate on both parts, and write all files.

        After Ctrl-C it does the same with what was learned by then; pressed again in training, it
        raises KeyboardInterrupt, and only the checkpoint is left.

        Raises:
            FloatingPointError: a loss became inf or nan; weights and history of the epochs before
                are saved.
        """
        settings = self.settings
        penalty = Penalty(self.model, l1=settings.l1, l2=settings.l2)
        interrupted = False
        try:
            fit(
                self.model,
                self.optimizer,
                pair(self.train),
                validation=pair(self.validation),
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                metrics=metrics(self.train),
                scheduler=self.scheduler,
                clip_grad=settings.clip_grad,
                class_weight=settings.class_weight,
                penalty=penalty if settings.l1 or settings.l2 else None,
                callbacks=(_Begin(self), *self.callbacks),
                history=self.history,
                seed=settings.seed,
                progress=progress,
            )
        except Interrupted:
            interrupted = True
        except FloatingPointError:
            if len(self.history):
                self._save()
            raise
        with defer_sigint() as ctrl_c:  # what is left takes a second: nothing is torn, nothing lost
            train, test = scores(self.model, self.train), scores(self.model, self.test)
            self._save()
            pictures, missing = self._draw()
        interrupted = interrupted or ctrl_c.pressed
        best = next((c.best_epoch for c in self.callbacks if isinstance(c, EarlyStopping)), None)
        files = (MODEL, HISTORY, *pictures)
        return Outcome(self.history, train, test, self.folder, files, missing, interrupted, best)

    def _save(self) -> None:
        save(self.model.state_dict(), self.folder / MODEL)
        self.history.save(self.folder / HISTORY)

    def _draw(self) -> tuple[tuple[str, ...], str]:
        """The names of the pictures drawn, and why there are none if so."""
        drawn: list[str] = []
        pictures: dict[str, Callable[[Path], Any]] = {CURVES: self.history.plot}
        plane = self.train.x.shape[1] == 2
        if plane and self.train.classes:
            pictures[BOUNDARY] = lambda path: plots.boundary(self.model, self.train, path)
        elif plane:
            pictures[SURFACE] = lambda path: plots.surface(self.model, self.train, path)
        if self.train.classes and self.train.image_shape is not None:
            pictures[MISTAKES] = lambda path: plots.mistakes(self.model, self.test, path)
        try:
            for name, draw in pictures.items():
                draw(self.folder / name)
                drawn.append(name)
        except ModuleNotFoundError as error:
            return tuple(drawn), str(error)
        return tuple(drawn), ""


class _Begin(Callback):
    """Clears the folder of a run before, when all is checked, and says what this one is."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def on_train_begin(self, trainer: Trainer) -> None:
        """Unless it goes on: then the folder is its own."""
        if not len(trainer.history):
            for name in FILES:
                (self.job.folder / name).unlink(missing_ok=True)
            for part in TensorBoard.PARTS:
                for events in self.job.folder.glob(f"{part}/events.out.tfevents.*"):
                    events.unlink()
            self.job.description.save(self.job.folder / CONFIG)


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        history: the epochs.
        train: loss and metrics on the rows it learned from, in eval mode.
        test: the same on the rows held out.
        folder: where the files are.
        files: their names.
        missing: why there are no pictures, or "".
        interrupted: whether Ctrl-C ended it.
        best: with early stopping the epoch whose weights the model has; None is the last.
    """

    history: History
    train: dict[str, float]
    test: dict[str, float]
    folder: Path
    files: tuple[str, ...]
    missing: str
    interrupted: bool
    best: int | None = None


def prepare(
    dataset: str = "digits",
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    **given: Any,
) -> Job:
    """The job that trains on ``dataset`` by its recipe, but for the settings that are ``given``.

    Args:
        dataset: the name of one, or the path of a file.
        out: the folder for what the run leaves, ``runs/<name>`` by default; it is made and tried
            here, so that no training ends without a place for its results.
        resume: go on where the run in ``out`` was stopped, which had the same settings.
        tensorboard: write events into ``out`` too.
        **given: see :class:`Settings`.

    Raises:
        ValueError: a setting is out of its range, the data are wrong, or there is another run in
            the folder than that which is to go on.
        FileNotFoundError: there is no such file, or no run to go on with.
        OSError: the folder cannot be written.
    """
    settings = Settings.of(dataset, **given)
    folder = Path("runs", Path(settings.dataset).stem) if out is None else Path(out)
    if resume:
        _check_same(folder, Description.load(folder).settings, settings)
    train, test = settings.data()
    description = Description.of(settings, train, test)
    if resume and Description.load(folder).fingerprint != description.fingerprint:
        raise ValueError(f"{dataset} is not what it was when {folder} was begun; train it anew")
    if settings.class_weight is not None and not train.classes:
        raise ValueError(f"class_weight is for classes, and {dataset} has values to predict")
    validation, callbacks = test, list[Callback]()
    if settings.early_stopping is not None or settings.schedule == "plateau":
        few = bool(train.classes) and np.bincount(train.y)[train.y].min() < 2
        stratify = False if few else None
        train, validation = split(train, 0.1, seed=settings.seed, stratify=stratify)
    if settings.early_stopping is not None:
        callbacks.append(EarlyStopping("val_loss", settings.early_stopping))
    manual_seed(settings.seed)
    model = description.network()
    batches = len(Batches((train.x,), settings.batch_size))
    optimizer, scheduler = settings.training(model, batches)
    folder, history = writable_folder(folder), History()
    callbacks.append(Checkpoint(folder / CHECKPOINT, seconds=1.0))
    if resume:
        load_checkpoint(
            folder / CHECKPOINT,
            model,
            optimizer,
            scheduler=scheduler,
            history=history,
            callbacks=callbacks,
        )
    if tensorboard:
        callbacks.append(TensorBoard(folder))
    return Job(
        description,
        train,
        validation,
        test,
        model,
        optimizer,
        scheduler,
        history,
        tuple(callbacks),
        folder,
    )


def _check_same(folder: Path, before: Settings, now: Settings) -> None:
    """Raise ValueError unless a run with settings ``now`` goes on where that of ``before`` was."""
    for field in fields(Settings):
        was, wanted = getattr(before, field.name), getattr(now, field.name)
        longer = field.name == "epochs" and now.schedule in ANY_LENGTH
        if was != wanted and not longer:
            raise ValueError(
                f"{folder} was begun with {field.name}={was!r}, which is now {wanted!r}; "
                "give the same options to go on, or another folder to begin anew"
            )
