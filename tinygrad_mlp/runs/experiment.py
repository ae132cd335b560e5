"""One training run: load the data, build the network, train, evaluate, and write the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .._common.files import remove_temporaries, writable_folder, write_json
from ..data import Batches, Dataset, split
from ..nn import Sequential
from ..ops.random import manual_seed
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from ..serialization import save
from ..train import checkpoint, plots
from ..train.callbacks import Callback, Checkpoint, EarlyStopping
from ..train.exclusive import check_unlocked, exclusive
from ..train.fit import fit
from ..train.history import History
from ..train.loggers import TensorBoard
from ..train.objective import Penalty
from ..train.sigint import Interrupted, defer_sigint
from ..train.trainer import Trainer
from . import run_folder
from .config import Settings
from .run_folder import RunConfig, compute_scores

Existing = Literal["refuse", "resume", "overwrite"]


@dataclass(frozen=True, eq=False)
class Experiment:
    """A run that is ready to start or to continue; :func:`create_experiment` returns one.

    Attributes:
        config: its settings, and what else ``config.json`` holds.
        train: the training rows.
        validation: the rows that are evaluated after each epoch: the test rows; or, if they decide
            something (early stopping, schedule "plateau"), a tenth of the training rows.
        test: the test rows, which decide nothing.
        model, optimizer, scheduler: the objects to train with.
        history: the epochs that are done, if the run continues.
        callbacks: early stopping if it is set, the checkpoint, and TensorBoard if it is set.
        folder: where the files are written.
        existing: what happens to a run that is in the folder already.
    """

    config: RunConfig
    train: Dataset
    validation: Dataset
    test: Dataset
    model: Sequential
    optimizer: Optimizer
    scheduler: LRScheduler | None
    history: History
    callbacks: Sequence[Callback]
    folder: Path
    existing: Existing = "refuse"

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        return self.config.settings

    def __str__(self) -> str:
        preprocessor, settings = self.config.preprocessor, self.settings
        classes = f"{len(preprocessor.classes)} classes" if preprocessor.classes else "numeric"
        column = f"{preprocessor.target.name!r}, " if preprocessor.column_names else ""
        size = sum(parameter.numel() for parameter in self.model.parameters())
        done = f" ({len(self.history)} done)" if len(self.history) else ""
        return (
            f"{self.train.name}: {len(self.train.y):,} training rows, {len(self.test.y):,} test "
            f"rows, target: {column}{classes}\n"
            f"model: {size:,} parameters; {self.optimizer.name}, lr {settings.lr:g}; "
            f"{settings.epochs} epochs{done}, batch size {settings.batch_size}, "
            f"seed {settings.seed}"
        )

    def run(self, progress: bool | Literal["auto"] = True) -> Result:
        """Train, evaluate on training and test rows, and write all files.

        Ctrl-C finishes the epoch and then does the same. A second Ctrl-C during training raises
        KeyboardInterrupt; only the checkpoint is left then.

        Args:
            progress: as in :func:`~tinygrad_mlp.fit`.

        Raises:
            BlockingIOError: another run is training into the folder.
            FileExistsError, ValueError: another run was written to the folder meanwhile.
            FloatingPointError: the loss became inf or nan; weights and history of the epochs
                before are saved.
            OSError: a file cannot be written; the error names it.
        """
        with exclusive(self.folder):
            if self.existing == "resume":
                self.config.check_files(self.folder)
            elif self.existing == "refuse" and not len(self.history):
                run_folder.check_unused(self.folder)
            remove_temporaries(self.folder, run_folder.FILES)
            return self._run(progress)

    def _run(self, progress: bool | Literal["auto"]) -> Result:
        settings, interrupted, before = self.settings, False, len(self.history)
        penalty = Penalty(self.model, l1=settings.l1, l2=settings.l2)
        try:
            fit(
                self.model,
                self.optimizer,
                run_folder.fit_arrays(self.train),
                validation=run_folder.fit_arrays(self.validation),
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                metrics=run_folder.metric_names(self.train),
                scheduler=self.scheduler,
                clip_grad=settings.clip_grad,
                class_weight=settings.class_weight,
                penalty=penalty if settings.l1 or settings.l2 else None,
                callbacks=(_PrepareFolder(self), *self.callbacks),
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
        with defer_sigint() as ctrl_c:  # the rest takes a second, and is always finished
            train, test = (compute_scores(self.model, rows) for rows in (self.train, self.test))
            self._save()
            plotted, plot_error = self._plot()
        interrupted = interrupted or ctrl_c.pressed
        best = next((c.best_epoch for c in self.callbacks if isinstance(c, EarlyStopping)), None)
        files = (run_folder.MODEL, run_folder.HISTORY, *plotted)
        trained = len(self.history) - before
        return Result(
            self.history, train, test, self.folder, files, plot_error, interrupted, best, trained
        )

    def _save(self) -> None:
        run = {run_folder.RUN: self.config.run_id}
        save(self.model.state_dict(), self.folder / run_folder.MODEL, run)
        write_json(self.folder / run_folder.HISTORY, run | self.history.to_dict())

    def _plot(self) -> tuple[list[str], str]:
        """Draw all plots; return the names of the files, and why some are missing."""
        model, train, test = self.model, self.train, self.test
        draw: dict[str, Callable[[Path], Any]] = {run_folder.CURVES: self.history.plot}
        if train.x.shape[1] == 2 and train.classes:
            draw[run_folder.BOUNDARY] = lambda path: plots.boundary(model, train, path)
        elif train.x.shape[1] == 2:
            draw[run_folder.SURFACE] = lambda path: plots.surface(model, train, path)
        if train.classes and train.image_shape is not None:
            draw[run_folder.MISTAKES] = lambda path: plots.mistakes(model, test, path)
        plotted: list[str] = []
        try:
            for name, function in draw.items():
                function(self.folder / name)
                plotted.append(name)
        except ModuleNotFoundError as error:  # matplotlib is optional
            return plotted, str(error)
        return plotted, ""


class _PrepareFolder(Callback):
    """Delete the files of an old run and write the config, after ``fit`` has checked its input."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment

    def on_train_begin(self, trainer: Trainer) -> None:
        """Do so unless the run continues."""
        if not len(trainer.history):
            for path in run_folder.existing_files(self.experiment.folder):
                path.unlink()
            self.experiment.config.save(self.experiment.folder)


@dataclass(frozen=True)
class Result:
    """The result of a run.

    Attributes:
        history: loss and metrics of each epoch.
        train: loss and metrics on the training rows, in eval mode.
        test: loss and metrics on the test rows.
        folder: where the files are.
        files: names of the files with weights, history and plots.
        plot_error: why there are no plots, or "".
        interrupted: whether Ctrl-C ended the run.
        best_epoch: with early stopping, the epoch of the model's weights; None is the last.
        trained: the number of epochs trained now; 0 if the run that was resumed was finished.
    """

    history: History
    train: dict[str, float]
    test: dict[str, float]
    folder: Path
    files: tuple[str, ...]
    plot_error: str
    interrupted: bool
    best_epoch: int | None = None
    trained: int = 0


def create_experiment(
    dataset: str | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    **settings: Any,
) -> Experiment:
    """Load the data, build model and optimizer, and return the experiment, ready to run.

    Args:
        dataset: a key of :data:`~tinygrad_mlp.data.DATASETS`, or the path of a file; by default
            "digits", or the dataset of the run to continue.
        out: the folder for the files, by default ``runs/<name>``. It is created here, so that no
            training ends without a place for its results.
        resume: whether to continue the run in ``out``, with its settings.
        overwrite: whether to replace the run in ``out``; its files are deleted when training
            starts.
        tensorboard: whether to write TensorBoard events into ``out``.
        **settings: fields of :class:`Settings`; by default those of the dataset, or of the run to
            continue, which must have the same. Only the number of epochs may differ, if the
            schedule does not depend on it.

    Raises:
        ValueError: a setting or the data are invalid, or the run in ``out`` has other settings, or
            its files belong to different runs.
        FileExistsError: ``out`` holds files of a run, and neither ``resume`` nor ``overwrite`` is
            set.
        FileNotFoundError: there is no such file, or no run to continue.
        BlockingIOError: another run is training into ``out``.
        OSError: the folder cannot be written.
    """
    if resume and overwrite:
        raise ValueError("resume and overwrite exclude each other: leave one out")
    folder, chosen, saved = resolve_settings(dataset, out, resume, settings)
    train, test = chosen.load_data()
    config = saved or RunConfig.for_data(chosen, train, test)
    _check_folder(folder, saved, run_folder.fingerprint(train, test), overwrite)
    config = replace(config, settings=chosen)
    if chosen.class_weight is not None and not train.classes:
        raise ValueError(
            f"class_weight needs classes, but the target of {chosen.dataset} is numeric"
        )
    validation, callbacks = test, list[Callback]()
    if chosen.early_stopping is not None or chosen.schedule == "plateau":
        too_few = bool(train.classes) and np.bincount(train.y)[train.y].min() < 2
        stratify = False if too_few else None
        train, validation = split(train, 0.1, seed=chosen.seed, stratify=stratify)
    if chosen.early_stopping is not None:
        callbacks.append(EarlyStopping("val_loss", chosen.early_stopping))
    manual_seed(chosen.seed)
    model = config.build_model()
    batches = len(Batches((train.x,), chosen.batch_size))
    optimizer, scheduler = chosen.build_optimizer(model, batches)
    folder, history = writable_folder(folder), History()
    path = folder / run_folder.CHECKPOINT
    callbacks.append(Checkpoint(path, seconds=1.0, metadata={run_folder.RUN: config.run_id}))
    if resume:
        state = checkpoint.read(path)
        run_folder.check_weights(path, state["model"], model)
        checkpoint.restore(path, state, model, optimizer, scheduler, history, callbacks)
    if tensorboard:
        callbacks.append(TensorBoard(folder))
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    parts = model, optimizer, scheduler, history, callbacks
    return Experiment(config, train, validation, test, *parts, folder, existing)


def resolve_settings(
    dataset: str | None,
    out: str | os.PathLike[str] | None,
    resume: bool,
    settings: Mapping[str, Any],
) -> tuple[Path, Settings, RunConfig | None]:
    """Return folder and settings of `create_experiment`, and the config of the run to continue.

    Raises:
        TypeError, ValueError: a setting is invalid, or the run to continue has another one.
        FileNotFoundError: there is no run to continue.
        BlockingIOError: the run to continue is being trained.
    """
    name = "digits" if dataset is None else dataset
    folder = Path("runs", Path(name).stem) if out is None else Path(out)
    if not resume:
        return folder, Settings.for_dataset(name, **settings), None
    saved = RunConfig.load(folder)
    before = saved.settings
    given = {key: value for key, value in settings.items() if value is not None}
    now = Settings.for_dataset(before.dataset if dataset is None else dataset, **given)
    for key in ["dataset", *given] if dataset is not None else given:
        old, new = getattr(before, key), getattr(now, key)
        if old != new and not (key == "epochs" and before.any_length):
            began = f"dataset {old!r}" if key == "dataset" else f"{key}={old!r}"
            raise ValueError(
                f"the run in {folder} began with {began}, not {new!r}; omit {key} to "
                "continue it, or choose another folder for a new run"
            )
    check_unlocked(folder)
    if not (folder / run_folder.CHECKPOINT).is_file():
        raise FileNotFoundError(
            f"{folder} has no {run_folder.CHECKPOINT}: its run ended before the first was written, "
            f"so there is nothing to continue; train anew with {run_folder.ANEW}"
        )
    saved.check_files(folder)
    return folder, replace(before, epochs=now.epochs if "epochs" in given else before.epochs), saved


def _check_folder(folder: Path, saved: RunConfig | None, rows: str, overwrite: bool) -> None:
    """Raise if the run in the folder is of other rows, is being trained, or would be replaced."""
    run_folder.check_no_folders(folder)
    if saved is not None and saved.fingerprint != rows:
        raise ValueError(
            f"{saved.settings.dataset} has changed since the run in {folder} began, so it cannot "
            f"be continued; train anew with {run_folder.ANEW}"
        )
    check_unlocked(folder)
    if saved is None and not overwrite:
        run_folder.check_unused(folder)
