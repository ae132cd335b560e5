"""Epochs: `Epoch` measures a model on all batches of a data set, `TrainEpoch` also trains it.

`step` is the code of one batch, the same in eager and compiled execution. The data, the order of
the rows, the cursor and the sums are tensors that outlive a step, so the compiled program of one
step can be repeated natively for many batches (see ``ops/fused/epoch_ops.py``).

The first batch of each size runs in Python and is captured. The following ones run as a program, in
slices of a twentieth of a second; between slices Python handles Ctrl-C, draws the progress bar and
calls ``after_slice``. The smaller last batch has a second program.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._common.array import Array
from .._tensor import Tensor
from ..autograd.modes import set_grad_enabled
from ..autograd.values import from_memory
from ..compiler import CaptureError, CompiledFunction
from ..data.batching import Batches
from ..nn import Module
from ..nn.clip_grad import clip_grad_norm_
from ..ops.create import zeros
from ..ops.elementwise.arithmetic import copy_
from ..ops.fused.epoch_ops import NotFinite, halt_unless_finite_, take_batch
from ..optim import Optimizer
from .metrics import RunningMeans
from .nonfinite import first_not_finite
from .objective import Objective
from .validation import restore_state

StepResult = tuple[Tensor, Tensor] | None
"""The outputs and targets of a batch, for metrics that are computed in Python; else None."""

SLICE = 0.05  # seconds of native steps; up to twice as long if the machine slows down meanwhile
FEW = 2  # batches of one size, for which compiling does not pay
MANY = 6  # captures, after which the step is taken to change every time


@dataclass(eq=False, repr=False)
class Epoch:
    """The evaluation of ``model`` on all ``batches`` (of inputs and targets).

    Attributes:
        epochs: how often `run` will be called; few batches in all are not compiled.
        by_batch: call ``after_slice`` after every batch.
        warned: reasons for not compiling that the user has been warned of, to warn once.
    """

    model: Module
    objective: Objective
    batches: Batches
    epochs: int = 1
    compile: bool = True
    by_batch: bool = False
    warned: set[str] = field(default_factory=set)
    training = False

    def __post_init__(self) -> None:
        self.loss = self.objective.training_loss if self.training else self.objective.loss
        x, y = self.batches.arrays
        self.x = from_memory(x)
        # The compiler assumes that two tensors of a program share no memory.
        self.y = self.x if y is x else from_memory(y.copy() if np.may_share_memory(x, y) else y)
        self.order = zeros(self.batches.rows, dtype="int64")
        self.cursor = zeros((), dtype="int64")  # number of batches done
        self.means = RunningMeans(self.objective.metrics, y)
        self.sums = self.means.sums  # an attribute, so that the printed program names them
        self.by_batch = self.by_batch or bool(self.means.in_python)
        self.seconds: dict[int, float] = {}  # per native batch, by its number of rows
        self.compiled: CompiledFunction[[int], StepResult] | None = None
        if self.compile and not self._has_hooks():
            self.compiled = CompiledFunction(self.step)
            self.compiled.complete_uncapturable = True

    # --- one step ---

    def start(self, order: Array) -> None:
        """Go to the first batch, with the rows in this order, and reset the means."""
        copy_(self.order, from_memory(order))
        self.cursor.zero_()
        self.means.clear()

    def batch(self, rows: int) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of the next batch, which has this many rows."""
        params: dict[str, Any] = {"batch": self.batches.batch_size, "rows": rows}
        x: Tensor = take_batch(self.x, self.order, self.cursor, **params)
        y: Tensor = take_batch(self.y, self.order, self.cursor, **params)
        return x, y

    def end(self, loss: Tensor, outputs: Tensor, y: Tensor) -> StepResult:
        """Add the batch to the means and advance the cursor."""
        self.means.add(loss, outputs, y)
        self.cursor.add_(1)
        return (outputs.detach(), y) if self.means.in_python else None

    def step(self, rows: int) -> StepResult:
        """Measure the next ``rows`` rows."""
        x, y = self.batch(rows)
        outputs = self.model(x)
        return self.end(self.loss(outputs, y), outputs, y)

    # --- all steps ---

    def run(
        self, number: int = 0, after_slice: Callable[[int], object] = lambda done: None
    ) -> dict[str, float]:
        """Process all batches in the order of epoch ``number``; return loss and metrics.

        ``after_slice`` is called between native slices, with the number of batches done so far.
        """
        batches, size = self.batches, self.batches.batch_size
        self.model.train(self.training)
        self.start(batches.order(number))
        done, full = 0, len(batches) - (batches.last != size)
        with set_grad_enabled(self.training):
            while done < len(batches):
                rows, count = (size, full) if done < full else (batches.last, 1)
                if self.compiled is not None and self.epochs * count > FEW:
                    times, result = self._run_compiled(self.compiled, rows, full - done)
                else:
                    with restore_state(self.model) if self.training else nullcontext():
                        times, result = 1, self.step(rows)
                done += times
                self.means.count_rows(times * rows)
                if result is not None:
                    self.means.add_in_python(*(tensor.numpy() for tensor in result))
                after_slice(done)
        return self.means.read()

    def _run_compiled(
        self, compiled: CompiledFunction[[int], StepResult], rows: int, limit: int
    ) -> tuple[int, StepResult]:
        """Run one slice of at most ``limit`` batches; return their number and the last result."""
        repeat = compiled.repeater(rows)
        if repeat is None:
            return 1, self._capture(compiled, rows)
        affordable = int(SLICE / self.seconds.get(rows, SLICE))
        times = 1 if self.by_batch else max(1, min(limit, affordable))
        start = time.perf_counter()
        result: StepResult = repeat(times)
        self.seconds[rows] = (time.perf_counter() - start) / times
        return times, result

    def _capture(self, compiled: CompiledFunction[[int], StepResult], rows: int) -> StepResult:
        """Run one step and capture it; stop compiling if a program could not repeat it."""
        before = compiled.context.python_values()
        with restore_state(self.model):
            try:
                result: StepResult = compiled(rows)
            except CaptureError as error:
                if not error.completed:
                    raise
                self._stop_compiling(str(error))
                result = error.result
                return result
        after = compiled.context.python_values()
        changed = [name for name, value in after.items() if value != before.get(name, value)]
        if changed:
            self._stop_compiling(f"a step changes the Python value {changed[0]}")
        elif compiled.captures == MANY:
            self._stop_compiling("Python numbers that the loss or the model uses keep changing")
        return result

    def _has_hooks(self) -> bool:
        """Return whether the step has hooks, which a program would leave out; warn if so."""
        loss = [("the loss", self.loss)] if isinstance(self.loss, Module) else []
        hooked = [
            f"module {name!r} ({type(module).__name__})"
            for name, module in [*self.model.named_modules(), *loss]
            if any(module._hooks.values())
        ]
        hooked += [f"parameter {name!r}" for name, p in self.model.named_parameters() if p.hooks]
        if hooked:
            self._stop_compiling(f"{hooked[0]} has hooks, which run in Python")
        return bool(hooked)

    def _stop_compiling(self, reason: str) -> None:
        self.compiled = None
        if reason not in self.warned:
            self.warned.add(reason)
            warnings.warn(
                f"fit runs each batch in Python instead of compiling the step: {reason}. "
                "compile=False does the same without this warning",
                stacklevel=2,
            )


@dataclass(eq=False, repr=False, kw_only=True)
class TrainEpoch(Epoch):
    """An epoch that updates the parameters of ``optimizer`` after each batch.

    Attributes:
        clip_grad: the largest total norm of the gradients.
    """

    optimizer: Optimizer
    clip_grad: float | None = None
    training = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.not_finite, self.penalty = zeros((), dtype="int64"), self.objective.penalty
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(self, rows: int) -> StepResult:
        """Train on the next ``rows`` rows; if the loss is inf or nan, raise before any update."""
        x, y = self.batch(rows)
        self.optimizer.zero_grad()
        outputs = self.model(x)
        loss = self.loss(outputs, y)
        total = loss if self.penalty is None else loss + self.penalty()
        halt_unless_finite_(self.not_finite, total)
        total.backward()
        if self.clip_grad is not None:
            clip_grad_norm_(self.parameters, self.clip_grad)
        self.optimizer.step()
        return self.end(loss, outputs, y)

    def run(
        self, number: int = 0, after_slice: Callable[[int], object] = lambda done: None
    ) -> dict[str, float]:
        """Train on all batches as `Epoch.run`; FloatingPointError if a loss is inf or nan."""
        try:
            return super().run(number, after_slice)
        except NotFinite as error:
            self.optimizer.zero_grad()
            done, size = int(self.cursor.item()), self.batches.batch_size
            x, _ = self.batch(min(size, self.batches.rows - done * size))
            raise FloatingPointError(
                f"the loss became {error.value} in epoch {number}, batch {done + 1}, "
                f"with lr={self.optimizer.param_groups[0]['lr']:g}; this batch changed nothing, "
                f"and {first_not_finite(self.model, x)}. Lower the learning rate, clip the "
                "gradients, or scale the inputs"
            ) from None
