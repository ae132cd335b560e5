"""Running a course: natively many batches at a time, or one after another in Python.

The first batch of a size is a step in Python that is captured; the others are a program, run in
slices of a twentieth of a second: between two of them Python looks for Ctrl-C, draws the progress
bar, and steps a schedule that steps per batch. The last, smaller batch is a second program.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from ..compiler import CaptureError, CompiledFunction
from ..compiler.passes.sink_state_writes import early
from ..data.batching import Batches
from ..nn import Module
from .epoch import Batch, Course, Training
from .validation import buffers_put_back

SLICE = 0.05  # seconds of native steps: at most twice as long if the machine slows down meanwhile
FEW = 2  # batches of a size that are not worth a program
MANY = 6  # programs, after which it is clear that each step is another


class Runner:
    """Takes a course along its batches, epoch after epoch.

    ``singly``: Python has to come between any two batches. ``said``: reasons not to compile that
    the user has been told.
    """

    def __init__(
        self,
        course: Course,
        batches: Batches,
        epochs: int,
        compile: bool,
        *,
        singly: bool = False,
        said: set[str] | None = None,
    ) -> None:
        self.course, self.batches, self.epochs = course, batches, epochs
        self.singly = singly or bool(course.means.called)  # Python looks at each batch
        self.compiled: CompiledFunction | None = None
        self.seconds: dict[int, float] = {}  # that a batch of so many rows takes
        self.said = set() if said is None else said
        reason = _hooks(course) if compile else None
        if reason is not None:
            self._give_up(reason)
        elif compile:
            self.compiled = CompiledFunction(course.step)
            self.compiled.to_the_end = True

    def epoch(self, number: int, told: Callable[[int], object] = lambda done: None) -> None:
        """All batches once; ``told`` hears after each slice how many are done."""
        batches, means = self.batches, self.course.means
        self.course.start(batches.order(number))
        done, full = 0, len(batches) - (batches.last != batches.batch_size)
        while done < len(batches):
            rows, count = (batches.batch_size, full) if done < full else (batches.last, 1)
            if self.epochs * count <= FEW:
                times, seen = 1, self._in_python(rows)
            else:
                times, seen = self._slice(rows, full - done)
            done += times
            means.met(times * rows)
            if seen is not None:
                means.call(*(tensor.numpy() for tensor in seen))
            told(done)

    def _slice(self, rows: int, most: int) -> tuple[int, Batch]:
        """Some of the next batches: how many, and what the last one gives Python to see."""
        compiled = self.compiled
        if compiled is None:
            return 1, self._in_python(rows)
        run = compiled.ready(rows)
        if run is None:
            return 1, self._captured(compiled, rows)
        affordable = int(SLICE / self.seconds.get(rows, SLICE))
        times = 1 if self.singly else max(1, min(most, affordable))
        began = time.perf_counter()
        seen: Batch = run(times)
        self.seconds[rows] = (time.perf_counter() - began) / times
        return times, seen

    def _in_python(self, rows: int) -> Batch:
        if not isinstance(self.course, Training):
            return self.course.step(rows)
        with buffers_put_back(self.course.model):
            return self.course.step(rows)

    def _captured(self, compiled: CompiledFunction, rows: int) -> Batch:
        """One step, captured; if that cannot be, the last one that was tried."""
        before = compiled.surroundings.numbers()
        with buffers_put_back(self.course.model):
            try:
                seen: Batch = compiled(rows)
            except CaptureError as error:
                if not error.done:
                    raise
                self._give_up(str(error))
                seen = error.result
                return seen
        after = compiled.surroundings.numbers()
        changed = [name for name, value in after.items() if value != before.get(name, value)]
        if changed:
            self._give_up(f"a step changes Python's {changed[0]}, which a program would not")
        elif compiled.captures == MANY:
            self._give_up("Python numbers that loss or model use change again and again")
        elif self._early(compiled):
            self._give_up("a buffer of the model is written, then read, before the loss is known")
        return seen

    def _early(self, compiled: CompiledFunction) -> bool:
        """Whether a loss that is no number would leave its mark in the model."""
        kept = {buffer.storage for buffer in self.course.model.buffers()}
        return compiled.last is not None and any(
            buffer.owner in kept for buffer in early(compiled.program)
        )

    def _give_up(self, reason: str) -> None:
        self.compiled = None
        if reason not in self.said:
            self.said.add(reason)
            warnings.warn(
                f"not compiled, but run in Python batch by batch: {reason}. compile=False does so "
                "without this warning",
                stacklevel=2,
            )


def _hooks(course: Course) -> str | None:
    """Why a program would leave something out: hooks are Python."""
    loss = [("the loss", course.loss)] if isinstance(course.loss, Module) else []
    for name, module in [*course.model.named_modules(), *loss]:
        if any(module._hooks.values()):
            return f"module {name!r} ({type(module).__name__}) has hooks, which are Python"
    for name, parameter in course.model.named_parameters():
        if parameter.hooks:
            return f"parameter {name!r} has hooks, which are Python"
    return None
