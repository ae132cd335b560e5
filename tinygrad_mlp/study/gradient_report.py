"""What `check_gradients` finds: entries, the error over step sizes, wrong ops. It prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROWS = 40  # entries that are printed; wrong ones come first
_NOTES = {
    "kink": "no derivative there; the gradient is the slope on one side or between both",
    "flat": "gradient and quotient are below the rounding of the function: too flat to tell",
}


@dataclass(frozen=True)
class Entry:
    """One derivative: of an element of an output by an element of an input.

    ``output`` is None if the function has a single number as its result, else the output and the
    index in it. ``left`` and ``right`` are the difference quotients to one side.
    """

    input: int
    shape: tuple[int, ...]
    index: tuple[int, ...]
    output: tuple[int, tuple[int, ...]] | None
    gradient: float
    quotient: float
    left: float
    right: float
    status: str

    def __str__(self) -> str:
        of = "" if self.output is None else f" of output {self.output[0]} {self.output[1]}"
        return f"x{self.input} {self.index}{of}"


@dataclass(frozen=True)
class StepSizes:
    """The difference quotients of one entry over step sizes.

    The error of a right gradient falls with the square of the step until rounding takes over; that
    of a wrong one stays.
    """

    entry: Entry
    steps: tuple[float, ...]
    quotients: tuple[float, ...]

    def __str__(self) -> str:
        lines = [f"{self.entry}: gradient {self.entry.gradient:.9g}"]
        for step, quotient in zip(self.steps, self.quotients, strict=True):
            error = abs(self.entry.gradient - quotient)
            lines.append(f"  step {step:.0e}  quotient {quotient:<14.9g} difference {error:.2e}")
        return "\n".join(lines)


@dataclass(frozen=True)
class WrongOp:
    """An op whose own gradient is wrong: its call, its source line, and the first wrong entry."""

    op: str
    call: str
    line: str
    input: str
    entry: Entry

    def __str__(self) -> str:
        at = f" at {self.entry.index}"
        of = "" if self.entry.output is None else f" of its result at {self.entry.output[1]}"
        return (
            f"{self.call}, {self.line}: the gradient by `{self.input}`{at}{of} is "
            f"{self.entry.gradient:.9g}, the difference quotient {self.entry.quotient:.9g}"
        )


@dataclass(frozen=True)
class GradientReport:
    """The result of `check_gradients`: ``entries``, ``step_sizes`` of the worst, ``wrong_ops``."""

    entries: tuple[Entry, ...]
    step_sizes: StepSizes | None
    wrong_ops: tuple[WrongOp, ...]

    @property
    def status(self) -> str:
        """The worst status of all entries: wrong, kink, flat or right."""
        statuses = {entry.status for entry in self.entries}
        return next(v for v in ("wrong", "kink", "flat", "right") if v in {*statuses, "right"})

    def __str__(self) -> str:
        order = sorted(self.entries, key=lambda entry: entry.status != "wrong")
        rows: list[tuple[str, ...]] = [("input", "gradient", "quotient", "left", "right", "status")]
        for entry in order[:ROWS]:
            numbers = (entry.gradient, entry.quotient, entry.left, entry.right)
            rows.append((str(entry), *(f"{n:.6g}" for n in numbers), entry.status))
        lines = _table(rows)
        if len(order) > ROWS:
            lines.append(f"... and {len(order) - ROWS} more entries")
        shown = {entry.status for entry in self.entries}
        lines += [f"{status}: {note}" for status, note in _NOTES.items() if status in shown]
        if self.step_sizes is not None:
            lines += ["the worst entry over step sizes:", str(self.step_sizes)]
        if not self.wrong_ops:
            lines.append("every op is right by itself")
        return "\n".join([*lines, *(f"wrong: {op}" for op in self.wrong_ops)])


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{x:<{w}}" for x, w in zip(r, widths, strict=True)).rstrip() for r in rows]
