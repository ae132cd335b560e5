"""Progress of a training: a live bar on a terminal, one line per epoch elsewhere."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

from .history import NOT_METRICS
from .metrics import RunningMeans

if TYPE_CHECKING:
    from rich.progress import Progress


class Reporter(AbstractContextManager["Reporter"]):
    """Base class of reporters, which shows nothing."""

    def batch(self, epoch: int, number: int, means: RunningMeans) -> None:
        """Show that batch ``number`` of ``epoch`` (both from 1) is done."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Show that an epoch is done; ``row`` is its row in the history."""

    def stopped(self, reason: str) -> None:
        """Show why training ended before the last epoch."""

    def __exit__(self, *_: object) -> None:
        """End the display, also after an error."""


class Lines(Reporter):
    """Print one line per epoch, for logs and pipes."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def epoch(self, row: Mapping[str, float]) -> None:
        """Print the line and flush it."""
        number = f"epoch {row['epoch']:{len(str(self.epochs))}d}/{self.epochs}"
        print_line(f"{number}  {format_metrics(row)}  {format_speed(row['samples_per_second'])}")

    def stopped(self, reason: str) -> None:
        """Print the reason."""
        print_line(reason)


def print_line(text: str) -> None:
    """Print and flush a line; after a broken pipe, as in ``| head``, discard all output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        discard_stdout()


def discard_stdout() -> None:
    """Redirect standard output to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def sparklines(columns: Mapping[str, Sequence[float]], width: int) -> list[str]:
    """Return a line of blocks for each column of numbers, all on one scale.

    A block is one of eight heights between the smallest and the largest finite number of all
    columns. More than ``width`` numbers are thinned out, evenly, the last one included.

    >>> sparklines({"loss": [4.0, 2.0, 1.0], "val_loss": [4.5, 3.0, 2.5]}, width=10)
    ['loss     ▇▃▁ 1.0000', 'val_loss █▅▄ 2.5000']
    """
    finite = [value for values in columns.values() for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    pad, lines = max(map(len, columns), default=0), []
    for name, values in columns.items():
        count = len(values)
        shown = min(count, width)
        drawn = (values[(k + 1) * count // shown - 1] for k in range(shown))
        blocks = "".join(_block(value, low, high) for value in drawn)
        lines.append(f"{name:<{pad}} {blocks} {values[-1]:.4f}")
    return lines


def _block(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "!"
    return "▁▂▃▄▅▆▇█"[round(7 * (value - low) / ((high - low) or 1.0))]


class Bar(Reporter):
    """Draw a live bar: loss, metrics, samples per second and remaining time; below it the losses.

    From the second epoch on, training and validation loss are drawn as curves, on one scale.

    It is drawn by the training thread, at most four times a second. One drawing takes 1 to 1.5 ms,
    half a percent of the time; other batches cost one call of the clock. A terminal of less than
    ``WIDE`` columns shows no validation metrics.
    """

    PERIOD = 0.25
    WIDE = 110

    def __init__(self, epochs: int, batches: int, done: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.text import Text

        curves: dict[str, list[float]] = {}

        class WithCurves(Progress):
            def get_renderables(self) -> Iterable[Any]:
                yield from super().get_renderables()
                if any(len(values) > 1 for values in curves.values()):
                    lines = sparklines(curves, width=max(10, self.console.width - 24))
                    yield Text("\n".join(lines), style="dim", no_wrap=True)

        self.curves = curves
        console = Console(file=sys.stdout)
        self.epochs, self.batches = epochs, batches
        self.wide = console.width >= self.WIDE
        self.progress: Progress = WithCurves(
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[metrics]}"),
            TextColumn("{task.fields[speed]}", style="dim"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            auto_refresh=False,
            expand=True,
        )
        # The first batch may compile kernels. Epochs of a continued run that are done already do
        # not count for the remaining time.
        self.task = self.progress.add_task(
            f"epoch {min(done + 1, epochs)}",
            total=epochs * batches,
            completed=done * batches,
            metrics="first batch ...",
            speed="",
        )
        self.validation: dict[str, float] = {}
        self.last_draw = self.epoch_start = time.perf_counter()

    def __enter__(self) -> Bar:
        self.progress.start()
        self.progress.refresh()
        return self

    def batch(self, epoch: int, number: int, means: RunningMeans) -> None:
        """Draw, if the last drawing is older than ``PERIOD``."""
        now = time.perf_counter()
        if now - self.last_draw >= self.PERIOD:
            row = means.read() | self.validation
            self._draw(epoch, number, row, means.rows / (now - self.epoch_start))

    def epoch(self, row: Mapping[str, float]) -> None:
        """Draw likewise, always after the last epoch; keep showing the validation metrics."""
        self.validation = {name: v for name, v in row.items() if name.startswith("val_")}
        for name in ("loss", "val_loss"):
            if name in row:
                self.curves.setdefault(name, []).append(row[name])
        self.epoch_start = time.perf_counter()
        if self.epoch_start - self.last_draw >= self.PERIOD or row["epoch"] == self.epochs:
            self._draw(int(row["epoch"]), self.batches, row, row["samples_per_second"])

    def _draw(self, epoch: int, number: int, row: Mapping[str, float], speed: float) -> None:
        shown = {name: v for name, v in row.items() if self.wide or not name.startswith("val_")}
        self.progress.update(
            self.task,
            completed=(epoch - 1) * self.batches + number,
            description=f"epoch {epoch}/{self.epochs}",
            metrics=format_metrics(shown),
            speed=format_speed(speed),
            refresh=True,
        )
        self.last_draw = time.perf_counter()

    def stopped(self, reason: str) -> None:
        """Print the reason above the bar."""
        self.progress.console.print(reason, highlight=False, markup=False)

    def __exit__(self, *_: object) -> None:
        """Leave the bar on the screen and restore the cursor."""
        self.progress.stop()


def reporter(
    progress: bool | Literal["auto"], epochs: int, batches: int, done: int = 0
) -> Reporter:
    """Return the reporter for the ``progress`` argument of :func:`fit`.

    Args:
        epochs: the number of epochs in all, of which ``done`` are done already.
        batches: the number of batches of an epoch.

    Raises:
        ValueError: ``progress`` is neither True, False nor "auto".
    """
    if progress not in (True, False, "auto"):
        raise ValueError(f'progress must be True, False or "auto", got {progress!r}')
    if progress and sys.stdout.isatty():
        return Bar(epochs, batches, done)
    return Lines(epochs) if progress is True else Reporter()


def format_metrics(row: Mapping[str, float]) -> str:
    """Return the losses and metrics of a history's row as text.

    >>> format_metrics({"epoch": 3, "loss": 0.25, "accuracy": 0.9, "lr": 0.1, "seconds": 0.5})
    'loss 0.2500  accuracy 0.9000'
    """
    shown = (f"{name} {value:.4f}" for name, value in row.items() if name not in NOT_METRICS)
    return "  ".join(shown)


def format_speed(samples_per_second: float) -> str:
    """Return the speed as text.

    >>> format_speed(123456.7)
    '123,457 samples/s'
    """
    return f"{samples_per_second:,.0f} samples/s"
