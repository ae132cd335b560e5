"""A whole training run by a recipe: prepared, trained, evaluated, and written into a folder."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..data import Dataset, split
from ..data.arguments import one_of, whole
from ..files import writable_folder
from ..nn import Module
from ..ops.random import manual_seed
from ..optim import AdamW
from ..optim.lr_scheduler import CosineAnnealingLR
from ..serialization import save
from . import plots
from .history import History
from .loop import evaluate, fit
from .recipes import RECIPES, Recipe


@dataclass(frozen=True, eq=False)
class Job:
    """A run that is ready to start; :func:`prepare` makes it."""

    recipe: Recipe
    train: Dataset
    test: Dataset
    model: Module
    optimizer: AdamW
    scheduler: CosineAnnealingLR
    lr: float
    epochs: int
    seed: int
    folder: Path

    def __str__(self) -> str:
        size = sum(parameter.numel() for parameter in self.model.parameters())
        return (
            f"{self.train.name}: {len(self.train.y):,} rows to learn from, "
            f"{len(self.test.y):,} held out\n"
            f"model: {size:,} parameters, AdamW with lr {self.lr:g}, {self.epochs} epochs "
            f"of batches of {self.recipe.batch_size}, seed {self.seed}"
        )

    def run(self, progress: bool | Literal["auto"] = True) -> Outcome:
        """Train, evaluate on both parts, and write all files."""
        history = fit(
            self.model,
            self.optimizer,
            self.train,
            validation=self.test,
            epochs=self.epochs,
            batch_size=self.recipe.batch_size,
            scheduler=self.scheduler,
            seed=self.seed,
            progress=progress,
        )
        train = evaluate(self.model, self.train)["accuracy"]
        test = evaluate(self.model, self.test)["accuracy"]
        return Outcome(history, train, test, self.folder, *self._write(history))

    def _write(self, history: History) -> tuple[tuple[str, ...], str]:
        """Weights, history and pictures: their names, and why there are no pictures if so."""
        save(self.model.state_dict(), self.folder / "model.safetensors")
        history.save(self.folder / "history.json")
        files = ["model.safetensors", "history.json"]
        try:
            history.plot(self.folder / "curves.png")
            files.append("curves.png")
            if self.train.x.shape[1] == 2:
                plots.boundary(self.model, self.train, self.folder / "boundary.png")
                files.append("boundary.png")
        except ModuleNotFoundError as error:
            return tuple(files), str(error)
        return tuple(files), ""


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        history: the epochs.
        train_accuracy: on the rows it learned from, in eval mode.
        test_accuracy: on the rows held out.
        folder: where the files are.
        files: their names.
        missing: why there are no pictures, or "".
    """

    history: History
    train_accuracy: float
    test_accuracy: float
    folder: Path
    files: tuple[str, ...]
    missing: str


def prepare(
    name: str,
    *,
    epochs: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
) -> Job:
    """The job that trains on the dataset ``name`` by its recipe, but for what is said otherwise.

    ``seed`` decides everything that is drawn: the data and what is held out, the weights, and the
    order of the rows. ``out`` is the folder for what the run leaves, ``runs/<name>`` by default;
    it is made and tried here, so that no training ends without a place for its results.

    Raises:
        ValueError: no dataset has this name, or ``epochs`` or ``lr`` is not positive.
        OSError: the folder cannot be written.
    """
    recipe = RECIPES[one_of("dataset", name, RECIPES)]
    epochs = whole("epochs", recipe.epochs if epochs is None else epochs, least=1, write=20)
    lr = recipe.lr if lr is None else lr
    if not 0 < lr < math.inf:
        raise ValueError(f"lr must be positive and finite, got {lr:g}; write lr={recipe.lr:g}")
    train, test = split(recipe.data(seed), recipe.test, seed=seed)
    manual_seed(seed)
    model = recipe.model()
    optimizer, scheduler = recipe.optimizer(model, lr, epochs)
    folder = writable_folder(Path("runs", name) if out is None else out)
    return Job(recipe, train, test, model, optimizer, scheduler, lr, epochs, seed, folder)
