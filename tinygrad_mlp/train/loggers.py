"""Callbacks that write the history down while it grows: as CSV, JSON lines, or for TensorBoard."""

from __future__ import annotations

import csv
import importlib
import json
import math
import os
from typing import Any, TextIO

from .callbacks import Callback, Run
from .history import PACE


class _File(Callback):
    """A text file with a line for each epoch; a run that goes on is written from its first one."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def on_train_begin(self, run: Run) -> None:
        """Write the epochs that were before."""
        with open(self.path, "w", encoding="utf-8", newline="") as file:
            for number, row in enumerate(run.history, start=1):
                self.line(file, number, row)

    def on_epoch_end(self, run: Run) -> None:
        """Write a line, for all to see at once; between two epochs no file is left open."""
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            self.line(file, len(run.history), run.history.last)

    def line(self, file: TextIO, number: int, row: dict[str, float]) -> None:
        """Write one row of the history, the ``number``-th."""
        raise NotImplementedError


class CSVLogger(_File):
    """A CSV file: a header, then a line for each epoch."""

    def line(self, file: TextIO, number: int, row: dict[str, float]) -> None:
        """Write the row, after the header if it is the first."""
        writer = csv.writer(file, lineterminator="\n")
        if number == 1:
            writer.writerow(row)
        writer.writerow(row.values())


class JSONLogger(_File):
    """A file of JSON lines: an object for each epoch. What is inf or nan becomes null."""

    def line(self, file: TextIO, number: int, row: dict[str, float]) -> None:
        """Write the row."""
        told = {name: value if math.isfinite(value) else None for name, value in row.items()}
        file.write(json.dumps(told) + "\n")


class TensorBoard(Callback):
    """Events for TensorBoard in the folder ``path``; needs ``tinygrad-mlp[tensorboard]``.

    Measures of training and of validation are two runs of one name, so that they share a plot.

    Raises:
        ModuleNotFoundError: tensorboard is missing; the message says how to install it.
    """

    PARTS = ("train", "validation")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self.tensorboard: Any = importlib.import_module("tensorboard.summary")
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "events for TensorBoard need tensorboard; "
                'pip install "tinygrad-mlp[tensorboard]" installs it'
            ) from None
        self.path = os.fspath(path)
        self.writers: dict[str, Any] = {}

    def on_train_begin(self, run: Run) -> None:
        """Open the events' files."""
        for part in self.PARTS:
            self.writers[part] = self.tensorboard.Writer(os.path.join(self.path, part))

    def on_epoch_end(self, run: Run) -> None:
        """Add the measures of this epoch."""
        row = run.history.last
        for name, value in row.items():
            part = "validation" if name.startswith("val_") else "train"
            if name == "lr" or name not in PACE:
                self.writers[part].add_scalar(name.removeprefix("val_"), value, int(row["epoch"]))

    def on_train_end(self, run: Run) -> None:
        """Close the events' files."""
        for writer in self.writers.values():
            writer.close()
