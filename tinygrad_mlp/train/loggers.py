"""Callbacks that write the history while it grows: CSV, JSON lines, TensorBoard events."""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import math
import os
from typing import TYPE_CHECKING, Any, TextIO

from .._common.files import named_errors
from .callbacks import Callback
from .history import NOT_METRICS

if TYPE_CHECKING:
    from .trainer import Trainer


class _FileLogger(Callback):
    """Write a text file with a line for each epoch, those before a continued run included."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def on_train_begin(self, trainer: Trainer) -> None:
        """Write the file anew, with the epochs that the history has."""
        with named_errors(self.path), open(self.path, "w", encoding="utf-8", newline="") as file:
            for number, row in enumerate(trainer.history, start=1):
                self.line(file, number, row)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Append a line; the file is closed between epochs, so that others can read it."""
        with named_errors(self.path), open(self.path, "a", encoding="utf-8", newline="") as file:
            self.line(file, len(trainer.history), trainer.history.last)

    def line(self, file: TextIO, number: int, row: dict[str, float]) -> None:
        """Write row ``number`` (from 1) of the history."""
        raise NotImplementedError


class CSVLogger(_FileLogger):
    """Write a CSV file ``path``: a header, then one line per epoch.

    >>> import tempfile
    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> model, data = nn.Linear(1, 1), ([[1.0], [2.0]], [[2.0], [4.0]])
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> with tempfile.NamedTemporaryFile("r") as file:
    ...     logger = CSVLogger(file.name)
    ...     _ = tg.fit(model, optimizer, data, epochs=2, callbacks=[logger], progress=False)
    ...     print(file.readline().strip(), "and", len(file.readlines()), "rows")
    epoch,loss,lr,seconds,samples_per_second and 2 rows
    """

    def line(self, file: TextIO, number: int, row: dict[str, float]) -> None:
        """Write the row, after the header if it is the first."""
        writer = csv.writer(file, lineterminator="\n")
        if number == 1:
            writer.writerow(row)
        writer.writerow(row.values())


class JSONLogger(_FileLogger):
    """Write a file ``path`` of JSON lines, one object per epoch; inf and nan become null.

    >>> import json, tempfile
    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> model, data = nn.Linear(1, 1), ([[1.0], [2.0]], [[2.0], [4.0]])
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> with tempfile.NamedTemporaryFile("r") as file:
    ...     logger = JSONLogger(file.name)
    ...     _ = tg.fit(model, optimizer, data, epochs=2, callbacks=[logger], progress=False)
    ...     [json.loads(line)["epoch"] for line in file]
    [1, 2]
    """

    def line(self, file: TextIO, number: int, row: dict[str, float]) -> None:
        """Write the row as an object."""
        finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
        file.write(json.dumps(finite) + "\n")


class TensorBoard(Callback):
    """Write TensorBoard events to the folder ``path``; needs ``tinygrad-mlp[tensorboard]``.

    Training and validation are two runs with the same tags, so each metric is one plot.

    Raises:
        ModuleNotFoundError: tensorboard is missing; the message says how to install it.

    >>> import tempfile
    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> model, data = nn.Linear(1, 1), ([[1.0], [2.0]], [[2.0], [4.0]])
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:  # to be looked at by: tensorboard --logdir FOLDER
    ...         callbacks = [TensorBoard(folder)]
    ...     except ModuleNotFoundError:  # without tensorboard
    ...         callbacks = []
    ...     history = tg.fit(
    ...         model, optimizer, data, epochs=2, callbacks=callbacks, progress=False
    ...     )
    >>> len(history)
    2
    """

    PARTS = ("train", "validation")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self.tensorboard: Any = importlib.import_module("tensorboard.summary")
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "TensorBoard events need the package tensorboard; "
                'pip install "tinygrad-mlp[tensorboard]" installs it'
            ) from None
        self.path = os.fspath(path)
        self.writers: dict[str, Any] = {}

    def on_train_begin(self, trainer: Trainer) -> None:
        """Open the event files."""
        for part in self.PARTS:
            self.writers[part] = self.tensorboard.Writer(os.path.join(self.path, part))

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Add the metrics and the learning rate of this epoch."""
        row = trainer.history.last
        for name, value in row.items():
            part = "validation" if name.startswith("val_") else "train"
            if name == "lr" or name not in NOT_METRICS:
                self.writers[part].add_scalar(name.removeprefix("val_"), value, int(row["epoch"]))

    def on_train_end(self, trainer: Trainer) -> None:
        """Close the event files."""
        with contextlib.ExitStack() as stack:  # closes all, even if one close fails
            for writer in self.writers.values():
                stack.callback(writer.close)
