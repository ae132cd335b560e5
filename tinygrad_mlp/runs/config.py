"""The settings of a run: everything that determines its result except the data themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any

from .._common.validation import INT64_MAX, check_choice, check_int
from ..data import DATASETS, FILES, Dataset, load_parts
from ..nn import Module, Sequential
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from ..train.validation import positive
from .build import ACTIVATIONS, MOMENTUM, OPTIMIZERS, SCHEDULES, mlp

MODELS = ("linear", "mlp")
CHOICES = dict(model=MODELS, activation=ACTIVATIONS, optimizer=OPTIMIZERS, schedule=SCHEDULES)
LIMITS = dict(dropout=1, dropconnect=1, momentum=1, l1=math.inf, l2=math.inf, weight_decay=math.inf)
OF_HIDDEN_LAYERS = ("hidden", "activation", "batch_norm", "dropout", "dropconnect")
DATA_SETTINGS = ("target", "missing", "categorical", "ignore", "task", "encoding", "data_dir")
"""The settings that are options of the dataset's loader."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run; :meth:`for_dataset` starts from the defaults of a dataset.

    Attributes:
        dataset: a name, or the path of a file.
        target: the column of a table to predict; None is the last.
        missing: what to do with missing values in a table.
        categorical, ignore, task, encoding: options of a table, see
            :func:`~tinygrad_mlp.data.csv`.
        data_dir: the folder with the files of MNIST.
        model: "linear" (no hidden layer) or "mlp".
        hidden: the widths of the hidden layers.
        activation, batch_norm, dropout, dropconnect: see :func:`~tinygrad_mlp.runs.build.mlp`.
        optimizer: a name in ``OPTIMIZERS``.
        momentum, weight_decay: of the optimizer; None is its default.
        schedule: the learning-rate schedule, a name in ``SCHEDULES``.
        lr: the initial learning rate.
        epochs, batch_size: number of passes over the training rows, and rows per step.
        l1, l2: factors of the penalties, see :class:`~tinygrad_mlp.train.Penalty`.
        clip_grad: maximum norm of the gradients; larger ones are scaled down.
        class_weight: "balanced" weights each class by the inverse of its frequency.
        early_stopping: stop after this many epochs without improvement; None never stops early.
        seed: seed of all random numbers: generated rows, split, weights, masks, order of rows.

    Raises:
        TypeError, ValueError: a setting has a wrong type or value; the message names it.
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
    def for_dataset(cls, dataset: str, **settings: Any) -> Settings:
        """Return the default settings of ``dataset``, replaced by ``settings`` that are not None.

        Raises:
            TypeError, ValueError: a setting is unknown or wrong, or is of hidden layers where there
                are none.

        >>> Settings.for_dataset("spiral", epochs=5).hidden
        (100,)
        """
        known = {field.name for field in fields(cls)}
        for name, value in settings.items():
            check_choice("setting", name, known)
            if settings.get("model") == "linear" and name in OF_HIDDEN_LAYERS and value:
                raise ValueError(f"there are no hidden layers with model='linear'; omit {name}")
        chosen = dict(DATASETS[dataset].training) if dataset in DATASETS else {}
        chosen |= {name: _freeze(v) for name, v in settings.items() if v is not None}
        if "data_dir" in chosen:  # absolute, so that the run can be opened from other folders
            chosen["data_dir"] = str(Path(chosen["data_dir"]).absolute())
        if Path(dataset).suffix.lower() in FILES:
            dataset = str(Path(dataset).absolute())
        return cls(dataset, **chosen)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        if self.class_weight is not None:
            check_choice("class_weight", self.class_weight, ("balanced",))
        check_int("epochs", self.epochs, minimum=1, example=20, maximum=INT64_MAX)
        check_int("batch_size", self.batch_size, minimum=1, example=64, maximum=INT64_MAX)
        if self.early_stopping is not None:
            check_int(
                "early_stopping", self.early_stopping, minimum=1, example=10, maximum=INT64_MAX
            )
        check_int("seed", self.seed, minimum=0, example=0)
        if not isinstance(self.hidden, tuple):
            raise TypeError(f"hidden must be a list of widths, got {self.hidden!r}")
        for width in self.hidden:
            check_int("hidden", width, minimum=1, example=64, maximum=INT64_MAX)
        positive("lr", self.lr)
        positive("clip_grad", self.clip_grad)
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Real) and 0 <= float(value) < limit):
                wanted = "0 or more" if limit == math.inf else "from 0 to below 1"
                raise ValueError(f"{name} must be {wanted}, got {value!r}")
        if self.momentum is not None and self.optimizer not in MOMENTUM:
            others = " and ".join(MOMENTUM)
            raise ValueError(f"{self.optimizer} has no momentum; omit it (only {others} have one)")

    @property
    def any_length(self) -> bool:
        """Whether the weights of an epoch do not depend on the number of epochs."""
        return self.schedule in ("constant", "plateau")

    def load_data(self) -> tuple[Dataset, Dataset]:
        """Load the training and the test rows."""
        options: dict[str, Any] = {}
        if self.dataset in DATASETS:
            options |= DATASETS[self.dataset].options
        for name in DATA_SETTINGS:
            if getattr(self, name) not in (None, ()):
                options[name] = getattr(self, name)
        return load_parts(self.dataset, seed=self.seed, **options)

    def build_model(self, num_features: int, num_outputs: int) -> Sequential:
        """Build a new network."""
        hidden = () if self.model == "linear" else self.hidden
        names = ("activation", "batch_norm", "dropout", "dropconnect")
        options = {name: getattr(self, name) for name in names}
        return mlp(num_features, *hidden, num_outputs, **options)

    def build_optimizer(self, model: Module, batches: int) -> tuple[Optimizer, LRScheduler | None]:
        """Build the optimizer of ``model`` and its schedule, for ``batches`` per epoch."""
        options: dict[str, Any] = {"lr": self.lr}
        if self.optimizer in MOMENTUM:
            default = MOMENTUM[self.optimizer]
            options["momentum"] = default if self.momentum is None else self.momentum
        if self.weight_decay is not None:
            options["weight_decay"] = self.weight_decay
        optimizer = OPTIMIZERS[self.optimizer](model.parameters(), **options)
        return optimizer, SCHEDULES[self.schedule](optimizer, self.epochs, batches)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Settings:
        """Restore settings from ``dataclasses.asdict(settings)``, also after JSON.

        Raises:
            TypeError, ValueError: ``saved`` is something else.
        """
        return cls(**{name: _freeze(value) for name, value in saved.items()})


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
