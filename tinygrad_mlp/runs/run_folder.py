"""The folder that a run leaves, and what can be asked of it: nothing else is needed for that."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._common.array import Array
from .._common.files import atomic_write
from ..data import Preprocessor, read_dataset, read_inputs
from ..data.dataset import Dataset
from ..nn import Sequential
from ..serialization import load
from ..train.fit import evaluate
from ..train.metrics import confusion_matrix
from ..train.predict import predict, softmax
from ..version import __version__
from .config import Settings

CONFIG, MODEL, CHECKPOINT = "config.json", "model.safetensors", "checkpoint.safetensors"
HISTORY, CURVES, MISTAKES = "history.json", "curves.png", "mistakes.png"
BOUNDARY, SURFACE = "boundary.png", "surface.png"
FILES = (CONFIG, MODEL, CHECKPOINT, HISTORY, CURVES, BOUNDARY, SURFACE, MISTAKES)


@dataclass(frozen=True, eq=False)
class Description:
    """What ``config.json`` says.

    Attributes:
        settings: how it was trained.
        preprocessor: how rows of a file become inputs, and outputs become what they mean.
        image_shape: (height, width) if rows are pictures.
        fingerprint: of the rows that it learned from and was tested with.
    """

    settings: Settings
    preprocessor: Preprocessor
    image_shape: tuple[int, int] | None
    fingerprint: str

    @classmethod
    def of(cls, settings: Settings, train: Dataset, test: Dataset) -> Description:
        """For a run on these rows."""
        preprocessor = train.preprocessor
        if preprocessor is None:  # it came as it is
            preprocessor = Preprocessor.for_images(train.x.shape[1], 1, train.classes)
        return cls(settings, preprocessor, train.image_shape, fingerprint(train, test))

    def network(self) -> Sequential:
        """A new network, as it was before training."""
        return self.settings.network(self.preprocessor.num_features, self.preprocessor.num_outputs)

    def save(self, path: Path) -> None:
        """Write ``config.json``."""
        told = {
            "tinygrad_mlp": __version__,
            "settings": self.settings.to_dict(),
            "inputs": self.preprocessor.num_features,
            "outputs": self.preprocessor.num_outputs,
            "classes": list(self.preprocessor.classes),
            "image_shape": self.image_shape,
            "fingerprint": self.fingerprint,
            "preprocessor": json.loads(self.preprocessor.to_json()),
        }
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Description:
        """What :meth:`save` wrote into ``folder``.

        Raises:
            FileNotFoundError: the folder has no ``config.json``.
            ValueError: it is not what :meth:`save` writes.
        """
        path = folder / CONFIG
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is no folder of a run: it has no {CONFIG}")
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            shape = told["image_shape"]
            return cls(
                Settings.from_dict(told["settings"]),
                Preprocessor.from_json(json.dumps(told["preprocessor"])),
                None if shape is None else (int(shape[0]), int(shape[1])),
                str(told["fingerprint"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not describe a run: {error!r}") from None


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A trained network in its folder; :func:`open_run` opens it."""

    folder: Path
    description: Description
    model: Sequential

    @property
    def preprocessor(self) -> Preprocessor:
        """How rows of a file become inputs, and outputs become what they mean."""
        return self.description.preprocessor

    @property
    def reading(self) -> dict[str, str]:
        """How tables are read."""
        encoding = self.description.settings.encoding
        return {} if encoding is None else {"encoding": encoding}

    def test_rows(self) -> Dataset:
        """The rows that were held out when it was trained.

        Raises:
            FileNotFoundError: they are not there any more.
            ValueError: they are not the same any more.
        """
        try:
            train, test = self.description.settings.data()
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.description.settings.dataset} is not there any more, so the rows that were "
                "held out are not known; name a file to evaluate on"
            ) from error
        if fingerprint(train, test) != self.description.fingerprint:
            raise ValueError(
                f"{self.description.settings.dataset} is not what it was when {self.folder} was "
                "trained, so the rows that were held out are not known; name a file to evaluate on"
            )
        return test

    def evaluate(
        self, path: str | os.PathLike[str] | None = None
    ) -> tuple[Dataset, dict[str, float]]:
        """The rows of a file with targets, or those that were held out, and :func:`scores`."""
        if path is None:
            rows = self.test_rows()
        else:
            rows = read_dataset(path, self.preprocessor, **self.reading)
        return rows, scores(self.model, rows)

    def confusion(self, rows: Dataset) -> Array:
        """Int64 (C, C): how many rows of each class are said to be of each."""
        return confusion_matrix(predict(self.model, rows.x), rows.y)

    def predict(self, path: str | os.PathLike[str]) -> tuple[list[str], list[list[str]]]:
        """The header and the rows of a table: what the network says of the rows of a file.

        The class and the probability of each class; or the value, in the units of the target.
        """
        outputs = predict(self.model, read_inputs(path, self.preprocessor, **self.reading))
        classes = self.preprocessor.classes
        if not classes:
            values = self.preprocessor.inverse_transform(outputs[:, 0])
            return [self.preprocessor.target.name], [[f"{value:.9g}"] for value in values]
        chances = softmax(outputs)
        return ["prediction", *(f"p_{name}" for name in classes)], [
            [classes[row.argmax()], *(f"{chance:.7g}" for chance in row)] for row in chances
        ]


def open_run(folder: str | os.PathLike[str]) -> SavedRun:
    """The run in ``folder``.

    Raises:
        FileNotFoundError: there is no run, or it did not come to its end.
        ValueError: a file in it is not what it should be.
    """
    path = Path(folder)
    description = Description.load(path)
    if not (path / MODEL).is_file():
        raise FileNotFoundError(
            f"{folder} has no {MODEL}: its training did not end; train with --resume goes on"
        )
    model = description.network()
    try:
        model.load_state_dict(load(path / MODEL))
    except RuntimeError as error:
        raise ValueError(f"{path / MODEL} is not of the network in {CONFIG}: {error}") from None
    return SavedRun(path, description, model)


def pair(rows: Dataset) -> tuple[Array, Array]:
    """Inputs and targets as `fit` wants them: values as a column."""
    return rows.x, rows.y if rows.classes else rows.y[:, None]


def metrics(rows: Dataset) -> Sequence[str]:
    """What to measure beside the loss."""
    return ("accuracy",) if rows.classes else ("r2",)


def scores(model: Sequential, rows: Dataset) -> dict[str, float]:
    """Loss and accuracy of classes; of values loss, R^2, and RMSE in the units of the target."""
    if rows.classes:
        return evaluate(model, pair(rows))
    found = evaluate(model, pair(rows), metrics=("r2", "mse"))
    unit = 1.0
    if rows.preprocessor is not None:
        zero, one = rows.preprocessor.inverse_transform(np.array([0.0, 1.0]))
        unit = abs(float(one - zero))
    return {"loss": found["loss"], "r2": found["r2"], "rmse": math.sqrt(found["mse"]) * unit}


def fingerprint(*parts: Dataset) -> str:
    """SHA-256 of the inputs and targets of all parts."""
    digest = hashlib.sha256()
    for part in parts:
        for array in part:
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
