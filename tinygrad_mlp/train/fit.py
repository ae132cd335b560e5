"""The training loop: `fit` and `evaluate`.

One epoch is ``for x, y in batches: zero_grad, loss = L(model(x), y), backward, step``; that is in
``course.py``. All else is what a person would write around it: data checked before the first step,
modes set and put back, losses and metrics averaged over rows, a stop where a loss is no number any
more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from .._common.validation import check_int
from .._tensor import Tensor
from ..autograd.modes import no_grad
from ..data.batching import Batches
from ..nn import Module
from ..ops.fused.epoch_ops import NotFinite
from ..optim import Optimizer
from ..optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from .callbacks import Callback, Run
from .epoch import Course, Loss, Training
from .history import History
from .metrics import Metric
from .nonfinite import first_not_finite
from .objective import ClassWeight, Objective
from .progress import Reporter, reporter
from .runner import Runner
from .sigint import Interrupted, politely
from .validation import (
    Rows,
    check_batches,
    check_optimizer,
    check_scheduler,
    keeping_modes,
    positive,
    prepare,
)


def fit(
    model: Module,
    optimizer: Optimizer,
    data: Any,
    *,
    validation: Any = None,
    epochs: int = 20,
    batch_size: int = 128,
    shuffle: bool = True,
    drop_last: bool = False,
    loss: Loss | None = None,
    metrics: Sequence[str | Metric] | None = None,
    scheduler: Any = None,
    clip_grad: float | None = None,
    class_weight: ClassWeight | None = None,
    penalty: Callable[[], Tensor] | None = None,
    callbacks: Sequence[Callback] = (),
    history: History | None = None,
    seed: int = 0,
    progress: bool | Literal["auto"] = True,
    compile: bool = True,
) -> History:
    """Train ``model`` in place on ``data``, epoch after epoch; returns what each one measured.

    Args:
        data: (x, y), arrays or Tensors, or a Dataset: x (N, F), cast to the model's dtype; y (N,)
            integer labels, or floating-point values of the shape of the model's outputs.
        validation: (x, y) to evaluate after each epoch.
        batch_size: rows in a step. The last batch is what is left over, unless ``drop_last``.
        shuffle: whether each epoch takes the rows in an order of its own, drawn by ``seed``
            (weights and dropout follow ``tg.manual_seed``).
        loss: by default ``F.cross_entropy`` for labels, ``F.mse_loss`` for values.
        metrics: names, or functions of (outputs, targets) arrays; by default accuracy for labels
            under the default loss. In training they are of the batches as they were met.
        scheduler: stepped after each epoch; ``OneCycleLR`` after each batch, and
            ``ReduceLROnPlateau`` with ``val_loss``, or ``loss`` if there is no validation.
        clip_grad: the norm that the gradients of a step are scaled down to, if theirs is larger.
        class_weight: what the errors of each class weigh in training: a number for each, a dict of
            some, or "balanced".
        penalty: what is added to the loss of each training batch, such as :class:`Penalty`.
        callbacks: told of each epoch, in their order; see :class:`Callback`.
        history: goes on after the epochs that it has, and is added to; it is what is returned.
        progress: True for a live bar on a terminal and a line per epoch elsewhere, "auto" for
            the bar only, False for silence.
        compile: train natively, by a program of the step that the first batch is captured as (see
            ``tg.compile``); False runs each batch in Python. Both give the same numbers. What
            cannot be captured, as hooks and ``.item()`` in a loss, runs in Python with a warning.

    Raises:
        TypeError, ValueError: an argument or the data are wrong; nothing was trained.
        RuntimeError: called inside ``no_grad()``.
        FloatingPointError: a loss became inf or nan; the model, its weights and its buffers, is as
            it was before that batch, or as a callback leaves it at the end.
        KeyboardInterrupt: Ctrl-C was pressed, the epoch ended, and ``history`` has it, which is
            also that of the error. Pressed again, it ends at once.

    Example::

        history = tg.fit(model, optimizer, (x, y), validation=(x_test, y_test), epochs=20)
    """
    epochs = check_int("epochs", epochs, minimum=1, example=20)
    check_optimizer(model, optimizer)
    check_scheduler(scheduler, optimizer)
    rows = prepare("data", data, model)
    held_out = None if validation is None else prepare("validation", validation, model)
    batches = Batches((rows.x, rows.y), batch_size, shuffle, drop_last, seed)
    check_batches(model, batches)
    objective = Objective(model, rows, loss, metrics, class_weight)
    if held_out is not None:
        objective.check(model, held_out)
    if penalty is not None and not callable(penalty):
        raise TypeError(
            f"penalty must be a function, got {penalty!r:.60}; write penalty=Penalty(..)"
        )
    if not isinstance(history, History | None):
        raise TypeError(f"history must be a History, got {history!r:.60}; write history=History()")
    history = History() if history is None else history
    run = Run(model, optimizer, scheduler, history, epochs, callbacks)
    left, said = epochs - len(history), set[str]()  # said: why it is not compiled, if so
    course = Training(
        model,
        objective.training_loss,
        objective.metrics,
        batches,
        optimizer,
        penalty,
        positive("clip_grad", clip_grad),
    )
    training = _Training(course, run, batches, left, compile, said)
    measuring = (
        None
        if held_out is None
        else _Measuring(model, objective, held_out, max(batch_size, 1024), left, compile, said)
    )
    shown = reporter(progress, epochs, len(batches), len(history))
    with keeping_modes(model), shown as report:
        _go_on(run, training, measuring, report)
    return history


def _go_on(run: Run, training: _Training, measuring: _Measuring | None, report: Reporter) -> None:
    """The epochs that are left."""
    with politely() as ctrl_c:
        run.tell("on_train_begin")
        while not run.over:
            try:
                row, pace = training.epoch(len(run.history) + 1, report)
            except FloatingPointError:
                run.tell("on_train_end")
                raise
            if measuring is not None:
                row |= {f"val_{name}": value for name, value in measuring().items()}
            run.history.append(row | pace)
            report.epoch(run.history.last)
            training.ended(row)
            if ctrl_c.pressed:
                run.stop("Ctrl-C")
            run.tell("on_epoch_end")
        run.tell("on_train_end")
    if ctrl_c.pressed:
        raise Interrupted(run.history)


def evaluate(
    model: Module,
    data: Any,
    *,
    batch_size: int = 1024,
    loss: Loss | None = None,
    metrics: Sequence[str | Metric] | None = None,
    compile: bool = True,
) -> dict[str, float]:
    """The mean ``loss`` and metrics of ``model`` over the rows of ``data``, in eval mode.

    Arguments and errors are those of :func:`fit`; nothing is changed, and nothing is recorded.
    A model that is asked for few batches is not compiled.

    Example::

        evaluate(model, (x_test, y_test))  # {'loss': 0.0841, 'accuracy': 0.9833}
    """
    rows = prepare("data", data, model)
    check_int("batch_size", batch_size, minimum=1, example=1024)
    objective = Objective(model, rows, loss, metrics)
    with keeping_modes(model):
        return _Measuring(model, objective, rows, batch_size, 1, compile)()


class _Training:
    """Epochs of updates of the weights, and what follows a batch and an epoch."""

    def __init__(
        self,
        course: Training,
        run: Run,
        batches: Batches,
        epochs: int,
        compile: bool,
        said: set[str],
    ) -> None:
        self.course, self.run, self.batches = course, run, batches
        self.optimizer, self.scheduler = run.optimizer, run.scheduler
        self.by_batch = isinstance(run.scheduler, OneCycleLR)
        self.told = run.by_batch
        singly = self.by_batch or self.told
        self.runner = Runner(course, batches, epochs, compile, singly=singly, said=said)
        run.so_far = course.means.read

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def epoch(self, number: int, report: Reporter) -> tuple[dict[str, float], dict[str, float]]:
        """The means over the rows of one epoch, and how fast it went."""
        self.course.model.train()
        means, lr, start = self.course.means, self.lr, time.perf_counter()

        def told(done: int) -> None:
            if self.by_batch:
                self.scheduler.step()
            report.batch(number, done, means)
            self.run.batch = done
            if self.told:
                self.run.tell("on_batch_end")

        try:
            self.runner.epoch(number, told)
        except NotFinite as error:
            self.optimizer.zero_grad()
            done = int(self.course.cursor.item())
            full = self.batches.batch_size
            x, _ = self.course.batch(min(full, self.batches.rows - done * full))
            raise FloatingPointError(
                f"the loss became {error.value} in epoch {number}, batch {done + 1}, "
                f"with lr={self.lr:g}; this batch changed nothing, and "
                f"{first_not_finite(self.course.model, x)}. Lower lr, clip the gradients, or "
                "scale the inputs"
            ) from None
        seconds = time.perf_counter() - start
        pace = {"lr": lr, "seconds": seconds, "samples_per_second": means.rows / seconds}
        return {"epoch": number} | means.read(), pace

    def ended(self, row: dict[str, float]) -> None:
        """Step the schedule after an epoch."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row.get("val_loss", row["loss"]))
        elif self.scheduler is not None and not self.by_batch:
            self.scheduler.step()


class _Measuring:
    """Losses and metrics over all rows, in eval mode, which it leaves the model in."""

    def __init__(
        self,
        model: Module,
        objective: Objective,
        rows: Rows,
        batch_size: int,
        times: int,
        compile: bool,
        said: set[str] | None = None,
    ) -> None:
        batches = Batches((rows.x, rows.y), min(batch_size, len(rows)), shuffle=False)
        self.course = Course(model, objective.loss, objective.metrics, batches)
        self.runner = Runner(self.course, batches, times, compile, said=said)

    def __call__(self) -> dict[str, float]:
        self.course.model.eval()
        with no_grad():
            self.runner.epoch(0)
        return self.course.means.read()
