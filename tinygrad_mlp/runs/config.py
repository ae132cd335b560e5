"""All that decides a run but the data themselves, as one value that a file can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .._common.validation import check_choice, check_int
from ..data import FILES, load_parts
from ..data.dataset import Dataset
from ..nn import Module, Sequential
from ..optim import Optimizer
from ..train.validation import positive
from .build import ACTIVATIONS, MOMENTUM, OPTIMIZERS, SCHEDULES, mlp
from .recipes import DATA, RECIPES

MODELS = ("linear", "mlp")

OF_DATA = ("target", "missing", "categorical", "ignore", "task", "encoding", "data_dir")
"""The settings that are options of the dataset."""


@dataclass(frozen=True)
class Settings:
    """What a network is trained on, what it is, and how; :meth:`of` fills in a dataset's recipe.

    Attributes:
        dataset: a name, or the path of a file.
        target: the column of a table to predict; None is the last.
        missing: what to do with missing values in a table.
        categorical, ignore, task, encoding: of a table, see :func:`~tinygrad_mlp.data.csv`.
        data_dir: the folder of MNIST's files.
        model: "linear" (no hidden layer) or "mlp".
        hidden: the widths of the hidden layers.
        activation, batch_norm, dropout, dropconnect: see :func:`mlp`.
        optimizer, momentum, weight_decay, lr: None is the optimizer's default.
        schedule: what becomes of lr.
        epochs, batch_size: how long, and rows in a step.
        l1, l2: see :class:`Penalty`.
        clip_grad: the norm that gradients are scaled down to.
        class_weight: "balanced" lets rare classes weigh as much as others.
        early_stopping: epochs without improvement that are waited for; None trains to the end.
        seed: decides everything that is drawn: rows, what is held out, weights, masks, order.

    Raises:
        ValueError: one of them is out of its range; the message names it.
    """

    dataset: str
    target: str | None = None
    missing: str | None = None
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    task: str | None = None
    encoding: str | None = None
    data_dir: str | None = None
    model: str = "mlp"
    hidden: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    batch_norm: bool = False
    dropout: float = 0.0
    dropconnect: float = 0.0
    optimizer: str = "adamw"
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str = "cosine"
    lr: float = 0.003
    epochs: int = 60
    batch_size: int = 64
    l1: float = 0.0
    l2: float = 0.0
    clip_grad: float | None = None
    class_weight: str | None = None
    early_stopping: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, dataset: str, **given: Any) -> Settings:
        """The recipe for ``dataset``, but for what is ``given`` and not None."""
        known = {field.name for field in fields(cls)}
        for name in given:
            check_choice("setting", name, known)
        said = {name: _frozen(value) for name, value in given.items() if value is not None}
        recipe = RECIPES.get(dataset, {})
        if "data_dir" in said:  # a run is asked for its data from other folders too
            said["data_dir"] = str(Path(said["data_dir"]).absolute())
        if Path(dataset).suffix.lower() in FILES:
            dataset = str(Path(dataset).absolute())
        return cls(dataset, **{**recipe, **said})

    def __post_init__(self) -> None:
        check_choice("model", self.model, MODELS)
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_int("epochs", self.epochs, minimum=1, example=20)
        check_int("batch_size", self.batch_size, minimum=1, example=64)
        check_int("seed", self.seed, minimum=0, example=0)
        for width in self.hidden:
            check_int("hidden", width, minimum=1, example=64)
        if self.early_stopping is not None:
            check_int("early_stopping", self.early_stopping, minimum=1, example=10)
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be positive and finite, got {self.lr:g}; write lr=0.003")
        for name in ("dropout", "dropconnect"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1, got {getattr(self, name):g}")
        for name in ("l1", "l2", "weight_decay"):
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name):g}")
        positive("clip_grad", self.clip_grad)
        if self.class_weight is not None:
            check_choice("class_weight", self.class_weight, ("balanced",))
        if not 0 <= (self.momentum or 0) < 1:
            raise ValueError(f"momentum must be from 0 to below 1, got {self.momentum:g}")
        if self.momentum is not None and self.optimizer not in MOMENTUM:
            raise ValueError(
                f"{self.optimizer} has no momentum; {' and '.join(MOMENTUM)} have: leave it out"
            )

    def data(self) -> tuple[Dataset, Dataset]:
        """The rows to train with, and those to test with."""
        options: dict[str, Any] = dict(DATA.get(self.dataset, {}))
        for name in OF_DATA:
            if getattr(self, name) not in (None, ()):
                options[name] = getattr(self, name)
        return load_parts(self.dataset, seed=self.seed, **options)

    def network(self, inputs: int, outputs: int) -> Sequential:
        """A new network for so many features and outputs."""
        hidden = () if self.model == "linear" else self.hidden
        return mlp(
            inputs,
            *hidden,
            outputs,
            activation=self.activation,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
            dropconnect=self.dropconnect,
        )

    def training(self, model: Module, batches: int) -> tuple[Optimizer, Any]:
        """The optimizer for ``model``, and its schedule, for so many batches in an epoch."""
        options: dict[str, Any] = {"lr": self.lr}
        if self.optimizer in MOMENTUM:
            given = self.momentum
            options["momentum"] = MOMENTUM[self.optimizer] if given is None else given
        if self.weight_decay is not None:
            options["weight_decay"] = self.weight_decay
        optimizer = OPTIMIZERS[self.optimizer](model.parameters(), **options)
        return optimizer, SCHEDULES[self.schedule](optimizer, self.epochs, batches)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Settings:
        """What :meth:`to_dict` gave.

        Raises:
            TypeError, ValueError: it is not that.
        """
        return cls(**{name: _frozen(value) for name, value in saved.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
