"""Showing how training goes: a live bar on a terminal, a line for each epoch elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from .history import PACE
from .metrics import Means

if TYPE_CHECKING:
    from rich.progress import Progress


class Reporter(AbstractContextManager["Reporter"]):
    """Told of each batch and each epoch; this one keeps silent."""

    def batch(self, epoch: int, number: int, means: Means) -> None:
        """Batch ``number`` (from 1) of ``epoch`` (from 1) is done."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch is done, and ``row`` is its row in the history."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Training is over, well or not."""


class Lines(Reporter):
    """A line for each epoch: what logs and pipes can hold."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def epoch(self, row: Mapping[str, float]) -> None:
        """Print the line at once: who reads the other end of a pipe is watching too."""
        place = f"epoch {row['epoch']:{len(str(self.epochs))}d}/{self.epochs}"
        say(f"{place}  {measures(row)}  {pace(row['samples_per_second'])}")


def say(text: str) -> None:
    """Print it at once; if nobody reads any more, as behind ``| head``, it all goes nowhere."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence()


def silence() -> None:
    """Let what is printed from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Bar(Reporter):
    """A live bar: loss, metrics, samples per second, and the time that is left.

    It is drawn in the training thread, at most four times a second. A drawing takes 1 to 1.5 ms,
    so the bar costs half a percent of the time; between drawings a batch costs a look at the clock.
    A terminal of less than ``WIDE`` columns has no room for validation.
    """

    PERIOD = 0.25
    WIDE = 110

    def __init__(self, epochs: int, batches: int, done: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(file=sys.stdout)
        self.epochs, self.batches = epochs, batches
        self.wide = console.width >= self.WIDE
        self.progress: Progress = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[measured]}"),
            TextColumn("{task.fields[pace]}", style="dim"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            auto_refresh=False,
            expand=True,
        )
        # The first batch may compile kernels: say what the wait is for. Epochs that were done
        # before say nothing of the time that is left.
        self.task = self.progress.add_task(
            f"epoch {min(done + 1, epochs)}",
            total=epochs * batches,
            completed=done * batches,
            measured="first batch ...",
            pace="",
        )
        self.validated: dict[str, float] = {}
        self.drawn = self.began = time.perf_counter()

    def __enter__(self) -> Bar:
        self.progress.start()
        self.progress.refresh()
        return self

    def batch(self, epoch: int, number: int, means: Means) -> None:
        """Draw, if the last drawing is old enough."""
        now = time.perf_counter()
        if now - self.drawn >= self.PERIOD:
            row = means.read() | self.validated
            self._draw(epoch, number, row, means.rows / (now - self.began))

    def epoch(self, row: Mapping[str, float]) -> None:
        """Draw likewise, or if it is the end; what validation gave stays on show."""
        self.validated = {name: value for name, value in row.items() if name.startswith("val_")}
        self.began = time.perf_counter()
        if self.began - self.drawn >= self.PERIOD or row["epoch"] == self.epochs:
            self._draw(int(row["epoch"]), self.batches, row, row["samples_per_second"])

    def _draw(self, epoch: int, number: int, row: Mapping[str, float], speed: float) -> None:
        self.progress.update(
            self.task,
            completed=(epoch - 1) * self.batches + number,
            description=f"epoch {epoch}/{self.epochs}",
            measured=measures(row if self.wide else _without_validation(row)),
            pace=pace(speed),
            refresh=True,
        )
        self.drawn = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        self.progress.stop()


def reporter(
    progress: bool | Literal["auto"], epochs: int, batches: int, done: int = 0
) -> Reporter:
    """Who shows a fit of ``epochs`` times ``batches``, by what :func:`fit` was asked for.

    So many epochs are ``done`` already.

    Raises:
        ValueError: ``progress`` is neither True, False nor "auto".
    """
    if progress not in (True, False, "auto"):
        raise ValueError(f'progress must be True, False or "auto", got {progress!r}')
    if progress and sys.stdout.isatty():
        return Bar(epochs, batches, done)
    return Lines(epochs) if progress is True else Reporter()


def _without_validation(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if not name.startswith("val_")}


def measures(row: Mapping[str, float]) -> str:
    """The losses and metrics of a history's row.

    >>> measures({"epoch": 3, "loss": 0.25, "accuracy": 0.9, "lr": 0.1, "seconds": 0.5})
    'loss 0.2500  accuracy 0.9000'
    """
    return "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name not in PACE)


def pace(samples_per_second: float) -> str:
    """Speed, for a person.

    >>> pace(123456.7)
    '123,457 samples/s'
    """
    return f"{samples_per_second:,.0f} samples/s"
