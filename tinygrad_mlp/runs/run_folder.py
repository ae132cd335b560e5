"""The files of a run, and what can be done with them: evaluate and predict."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._common.array import Array
from .._common.files import write_json
from ..data import Dataset, Preprocessor, read_dataset, read_inputs
from ..nn import Sequential
from ..nn.state import not_finite
from ..serialization import load, read_metadata
from ..train.fit import evaluate
from ..train.loggers import TensorBoard
from ..train.metrics import confusion_matrix
from ..train.predict import predict, softmax
from ..version import __version__
from .config import Settings

CONFIG, MODEL, CHECKPOINT = "config.json", "model.safetensors", "checkpoint.safetensors"
HISTORY, CURVES, MISTAKES = "history.json", "curves.png", "mistakes.png"
BOUNDARY, SURFACE = "boundary.png", "surface.png"
ANEW = "overwrite=True"
RUN = "run"
"""The key of the run's id: in the JSON files, and in the metadata of the safetensors files."""
FILES = (CONFIG, MODEL, CHECKPOINT, HISTORY, CURVES, BOUNDARY, SURFACE, MISTAKES)


@dataclass(frozen=True, eq=False)
class RunConfig:
    """The content of ``config.json``.

    Attributes:
        settings: the settings of the run.
        preprocessor: how rows of a file become inputs, and outputs become predictions.
        image_shape: (height, width) if rows are images.
        fingerprint: checksum of the training and test rows.
        run_id: identifies the run in all of its files. Runs of the same settings on the same rows
            have the same id, and the same weights.
    """

    settings: Settings
    preprocessor: Preprocessor
    image_shape: tuple[int, int] | None
    fingerprint: str
    run_id: str

    @classmethod
    def for_data(cls, settings: Settings, train: Dataset, test: Dataset) -> RunConfig:
        """Return the config of a run on these rows."""
        preprocessor = train.preprocessor
        if preprocessor is None:  # the rows are inputs already
            preprocessor = Preprocessor.for_images(train.x.shape[1], 1, train.classes)
        rows = fingerprint(train, test)
        content = [_determining(settings), json.loads(preprocessor.to_json()), rows, __version__]
        run_id = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
        return cls(settings, preprocessor, train.image_shape, rows, run_id)

    def build_model(self) -> Sequential:
        """Build the network with new weights."""
        preprocessor = self.preprocessor
        return self.settings.build_model(preprocessor.num_features, preprocessor.num_outputs)

    def save(self, folder: Path) -> None:
        """Write ``config.json`` into ``folder``."""
        content = {
            "tinygrad_mlp": __version__,
            RUN: self.run_id,
            "settings": asdict(self.settings),
            "inputs": self.preprocessor.num_features,
            "outputs": self.preprocessor.num_outputs,
            "classes": self.preprocessor.classes,
            "image_shape": self.image_shape,
            "fingerprint": self.fingerprint,
            "preprocessor": json.loads(self.preprocessor.to_json()),
        }
        write_json(folder / CONFIG, content)

    def check_files(self, folder: Path) -> None:
        """Raise ValueError if a file in ``folder`` belongs to another run than ``config.json``."""
        for name, read_id in RUN_ID.items():
            path = folder / name
            if not path.is_file():
                continue
            try:
                found = read_id(path)
            except ValueError as error:
                fix = "then the run cannot be continued"
                if name != CHECKPOINT:
                    fix = "resume=True writes it anew from the checkpoint"
                message = f"{error}; put back a copy of it, or delete it; {fix}"
                raise ValueError(message) from None
            if found != self.run_id:
                raise ValueError(
                    f"{folder / CONFIG} and {path} belong to different runs ({self.run_id} and "
                    f"{found or 'none'}); put back the file of this run, or train anew with {ANEW}"
                )

    @classmethod
    def load(cls, folder: Path) -> RunConfig:
        """Read ``config.json`` in ``folder``.

        Raises:
            FileNotFoundError: the folder has no ``config.json``.
            OSError: a folder has the name of one of the run's files.
            ValueError: it is not the config of a run.
        """
        path = folder / CONFIG
        check_no_folders(folder)
        if not path.is_file():
            reason = "it is a file" if folder.is_file() else f"it has no {CONFIG}"
            raise FileNotFoundError(f"{folder} is not the folder of a run: {reason}")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            shape = content["image_shape"]
            return cls(
                Settings.from_dict(content["settings"]),
                Preprocessor.from_json(json.dumps(content["preprocessor"])),
                None if shape is None else (int(shape[0]), int(shape[1])),
                str(content["fingerprint"]),
                str(content[RUN]),
            )
        except KeyError as error:
            raise ValueError(
                f"{path} has no entry {error}: it is not the config of a run of this version"
            ) from None
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            why = str(error) if isinstance(error, ValueError) else repr(error)
            raise ValueError(
                f"{path} is not the config of a run: {why}; put back a copy of it, or train "
                f"anew with {ANEW}"
            ) from None


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A finished run with its trained network; :func:`open_run` returns one.

    Attributes:
        folder: where its files are.
        config: its settings and preprocessor.
        model: the trained network.
    """

    folder: Path
    config: RunConfig
    model: Sequential

    @property
    def preprocessor(self) -> Preprocessor:
        """How rows of a file become inputs, and outputs become predictions."""
        return self.config.preprocessor

    def _csv_options(self, encoding: str | None) -> dict[str, str]:
        encoding = encoding or self.config.settings.encoding
        return {} if encoding is None else {"encoding": encoding}

    def test_rows(self) -> Dataset:
        """Load the test rows of the training.

        Raises:
            FileNotFoundError: the dataset does not exist any more.
            ValueError: it has changed since the training.
        """
        dataset = self.config.settings.dataset
        hint = "so its test rows are unknown; name a file to evaluate on"
        try:
            train, test = self.config.settings.load_data()
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{dataset} does not exist any more, {hint}") from error
        if fingerprint(train, test) != self.config.fingerprint:
            raise ValueError(f"{dataset} has changed since {self.folder} was trained, {hint}")
        return test

    def evaluate(
        self, path: str | os.PathLike[str] | None = None, *, encoding: str | None = None
    ) -> tuple[Dataset, dict[str, float]]:
        """Return the rows of a file with targets, or the test rows, and :func:`compute_scores`.

        Args:
            path: the file.
            encoding: encoding of a CSV file; by default that of the training.
        """
        if path is None:
            rows = self.test_rows()
        else:
            rows = read_dataset(path, self.preprocessor, **self._csv_options(encoding))
        return rows, compute_scores(self.model, rows)

    def confusion(self, rows: Dataset) -> Array:
        """Return the confusion matrix, int64 (C, C): true class by predicted class."""
        return confusion_matrix(predict(self.model, rows.x), rows.y)

    def predict(
        self, path: str | os.PathLike[str], *, encoding: str | None = None
    ) -> tuple[list[str], list[list[str]]]:
        """Predict the rows of a file.

        Args:
            path: the file.
            encoding: encoding of a CSV file; by default that of the training.

        Returns:
            Header and rows of a table. For classification each row has the predicted class and
            the probability of each class; for regression the value, in the units of the target.

        Raises:
            OSError, ValueError: as :func:`~tinygrad_mlp.data.read_inputs`; or an output of the
                network is not finite.
        """
        options = self._csv_options(encoding)
        outputs = predict(self.model, read_inputs(path, self.preprocessor, **options))
        if not np.isfinite(outputs).all():
            row = int(np.isfinite(outputs).all(axis=1).argmin())
            raise ValueError(
                f"{path}: the network's output for row {row + 1} of the data is not finite; the "
                f"values of the row, or the weights in {self.folder / MODEL}, are too large"
            )
        classes = self.preprocessor.classes
        if not classes:
            values = self.preprocessor.inverse_transform(outputs[:, 0])
            return [self.preprocessor.target.name], [[f"{value:.9g}"] for value in values]
        return ["prediction", *(f"p_{name}" for name in classes)], [
            [classes[row.argmax()], *(f"{probability:.7g}" for probability in row)]
            for row in softmax(outputs)
        ]


def open_run(folder: str | os.PathLike[str]) -> SavedRun:
    """Load the finished run in ``folder``.

    Raises:
        FileNotFoundError: there is no run, or its training did not finish.
        ValueError: a file in the folder is not that of a run, or is that of another run, or a
            weight is not finite or has another dtype than the network.
    """
    path = Path(folder)
    config = RunConfig.load(path)
    if not (path / MODEL).is_file():
        fix = "continue its training with resume=True"
        if not (path / CHECKPOINT).is_file():
            fix = f"there is nothing to continue, train anew with {ANEW}"
        raise FileNotFoundError(f"{folder} has no {MODEL}: {fix}")
    config.check_files(path)
    weights = load(path / MODEL)
    try:
        model = config.build_model()
    except (ArithmeticError, MemoryError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path / CONFIG}: its network cannot be built: {error}") from None
    check_weights(path / MODEL, weights, model)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path / MODEL} does not fit the network in {CONFIG}: {error}") from None
    return SavedRun(path, config, model)


def check_weights(path: Path, weights: Mapping[str, Any], model: Sequential) -> None:
    """Raise ValueError if a weight in a file is not finite, or not of the model's dtype."""
    if names := not_finite(weights):
        raise ValueError(
            f"{path}: {', '.join(names)} {'has' if len(names) == 1 else 'have'} values that are "
            f"not finite (nan or inf), so every output would be wrong; train anew with {ANEW}"
        )
    for name, own in model.state_dict().items():
        if name in weights and weights[name].dtype != own.dtype:
            raise ValueError(
                f"{path}: {name} has dtype {weights[name].dtype}, the network of this run has "
                f"{own.dtype}; train anew with {ANEW}"
            )


def _id_in_json(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[RUN])
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is not a complete JSON file: {error}") from None
    except (LookupError, TypeError):
        return ""


# The files that carry the id of their run, with the function that reads it.
RUN_ID: dict[str, Callable[[Path], str]] = {
    MODEL: lambda path: read_metadata(path).get(RUN, ""),
    CHECKPOINT: lambda path: read_metadata(path).get(RUN, ""),
    HISTORY: _id_in_json,
}


def _determining(settings: Settings) -> dict[str, Any]:
    """Return the settings that determine the weights, besides the rows."""
    others = {"dataset", "data_dir"} | ({"epochs"} if settings.any_length else set())
    return {name: value for name, value in asdict(settings).items() if name not in others}


def existing_files(folder: Path) -> list[Path]:
    """Return the files in ``folder`` that a new run there would delete or replace."""
    named = [folder / name for name in FILES]
    events = [p for part in TensorBoard.PARTS for p in folder.glob(f"{part}/events.out.tfevents.*")]
    return [path for path in (*named, *events) if path.is_file()]


def check_no_folders(folder: Path) -> None:
    """Raise OSError if a folder in ``folder`` has the name of a file of a run."""
    for path in (folder / name for name in FILES):
        if path.is_dir():
            raise OSError(f"{path} is a folder, but a run keeps a file there; move it away")


def check_unused(folder: Path) -> None:
    """Raise FileExistsError if a new run would delete or replace a file in ``folder``."""
    files = existing_files(folder)
    if not files:
        return
    content, choices = str(files[0].relative_to(folder)), "overwrite=True to replace it"
    if {folder / CONFIG, folder / CHECKPOINT} <= set(files):
        content, choices = "a run", f"resume=True to continue it, {choices}"
    message = f"{folder} already holds {content}: use {choices}, or choose another folder"
    raise FileExistsError(message)


def fit_arrays(rows: Dataset) -> tuple[Array, Array]:
    """Return inputs and targets in the shapes of ``fit``: values (N,) become a column (N, 1)."""
    return rows.x, rows.y if rows.classes else rows.y[:, None]


def metric_names(rows: Dataset) -> Sequence[str]:
    """Return the metrics to compute besides the loss."""
    return ("accuracy",) if rows.classes else ("r2",)


def compute_scores(model: Sequential, rows: Dataset) -> dict[str, float]:
    """Return loss and accuracy; for regression loss, R^2, and RMSE in the units of the target."""
    if rows.classes:
        return evaluate(model, fit_arrays(rows))
    found = evaluate(model, fit_arrays(rows), metrics=("r2", "mse"))
    unit = 1.0
    if rows.preprocessor is not None:
        zero, one = rows.preprocessor.inverse_transform(np.array([0.0, 1.0]))
        unit = abs(float(one - zero))
    return {"loss": found["loss"], "r2": found["r2"], "rmse": math.sqrt(found["mse"]) * unit}


def fingerprint(*parts: Dataset) -> str:
    """Return the SHA-256 of the inputs and targets of all parts."""
    digest = hashlib.sha256()
    for part in parts:
        for array in part:
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
