"""`fit` and `evaluate`: check all arguments, then run a `Trainer` or one `Epoch`.

`fit` computes the same as this loop::

    for x, y in batches:
        optimizer.zero_grad()
        loss = L(model(x), y)
        loss.backward()
        optimizer.step()

The body of this loop is ``TrainEpoch.step``, the loop ``Epoch.run``, both in ``epoch.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from .._common.validation import check_int
from .._tensor import Tensor
from ..data.batching import Batches
from ..nn import Module
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from .callbacks import Callback
from .epoch import Epoch, TrainEpoch
from .history import History
from .metrics import Metric
from .objective import ClassWeight, Loss, Objective
from .progress import reporter
from .trainer import Trainer
from .validation import (
    check_batches,
    check_data,
    check_optimizer,
    check_scheduler,
    positive,
    preserve_modes,
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
    scheduler: LRScheduler | None = None,
    clip_grad: float | None = None,
    class_weight: ClassWeight | None = None,
    penalty: Callable[[], Tensor] | None = None,
    callbacks: Sequence[Callback] = (),
    history: History | None = None,
    seed: int = 0,
    progress: bool | Literal["auto"] = True,
    compile: bool = True,
) -> History:
    """Train ``model`` in place on ``data``, and return one row of measurements per epoch.

    Args:
        data: (x, y), arrays or Tensors, or a Dataset: x (N, ...), cast to the model's dtype; y (N,)
            integer labels, or floating-point values of the shape of the model's outputs.
        validation: (x, y) to evaluate after each epoch, in eval mode.
        epochs: the number of epochs in all, those of ``history`` included.
        batch_size: rows per step. The last batch has the remaining rows, unless ``drop_last``.
        shuffle: draw a new order of the rows for each epoch, from ``seed`` (initial weights and
            dropout follow ``tg.manual_seed``).
        loss: a function of (outputs, targets) that returns a 0-d tensor; by default
            ``F.cross_entropy`` for labels and ``F.mse_loss`` for values.
        metrics: names in ``tg.train.METRICS``, or functions of (outputs, targets) arrays; by
            default accuracy for labels under the default loss. Those of training are means over
            the batches of the epoch, each measured before its update.
        scheduler: stepped after each epoch; ``OneCycleLR`` after each batch, and
            ``ReduceLROnPlateau`` with ``val_loss``, or with ``loss`` if there is no validation.
        clip_grad: largest total norm of the gradients; larger ones are scaled down.
        class_weight: weights of the classes in the training loss: one number for each class, a dict
            of those that are not 1, or "balanced".
        penalty: returns a term to add to the loss of each training batch, such as
            :class:`Penalty`; ``loss`` in the history does not contain it.
        callbacks: called during training, in this order; see :class:`Callback`.
        history: continue after these epochs; new rows are added to it, and it is returned.
        progress: True for a live bar on a terminal and one line per epoch elsewhere, "auto" for
            the bar only, False for no output.
        compile: run the training step as a native program (see ``tg.compile``); False runs each
            batch in Python. Both give the same numbers. A step that cannot be captured, e.g. with
            hooks or ``.item()`` in the loss, runs in Python with a warning.

    Returns:
        The ``history`` with a row for each epoch.

    Raises:
        TypeError, ValueError: an argument or the data are wrong; nothing was trained.
        RuntimeError: gradients are off (``no_grad()``).
        FloatingPointError: a loss became inf or nan; parameters and buffers are as before that
            batch, or as a callback sets them in ``on_train_end``.
        KeyboardInterrupt: Ctrl-C was pressed; the epoch was completed first, and the error has the
            ``history``. A second Ctrl-C ends training at once.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> from tinygrad_mlp.data import spiral
    >>> tg.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3))
    >>> optimizer = optim.Adam(model.parameters(), lr=0.03)
    >>> history = tg.fit(model, optimizer, spiral(), epochs=10, progress=False)
    >>> history.names[:3], len(history)
    (('epoch', 'loss', 'accuracy'), 10)
    >>> history["loss"][-1] < history["loss"][0]
    True
    """
    epochs = check_int("epochs", epochs, minimum=1, example=20)
    check_optimizer(model, optimizer)
    check_scheduler(scheduler, optimizer)
    positive("clip_grad", clip_grad)
    samples = check_data("data", data, model)
    held_out = None if validation is None else check_data("validation", validation, model)
    batches = Batches((samples.x, samples.y), batch_size, shuffle, drop_last, seed)
    check_batches(model, batches)
    objective = Objective(model, samples, loss, metrics, class_weight, penalty)
    if not isinstance(history, History | None):
        raise TypeError(f"history must be a History, got {history!r:.60}; write history=History()")
    history = History() if history is None else history
    trainer = Trainer(model, optimizer, scheduler, history, epochs, callbacks)
    options: dict[str, Any] = dict(epochs=epochs - len(history), compile=compile, warned=set())
    training: dict[str, Any] = dict(
        optimizer=optimizer, clip_grad=clip_grad, by_batch=trainer.by_batch
    )
    epoch = TrainEpoch(model, objective, batches, **training, **options)
    evaluation = None
    if held_out is not None:
        objective.check(model, held_out)
        batches = Batches((held_out.x, held_out.y), max(batch_size, 1024), shuffle=False)
        evaluation = Epoch(model, objective, batches, **options)
    show = reporter(progress, epochs, len(epoch.batches), len(history))
    with preserve_modes(model), show as report:
        trainer.run(epoch, evaluation, report)
    return history


def evaluate(
    model: Module,
    data: Any,
    *,
    batch_size: int = 1024,
    loss: Loss | None = None,
    metrics: Sequence[str | Metric] | None = None,
    compile: bool = True,
) -> dict[str, float]:
    """Return the mean ``loss`` and metrics of ``model`` over the rows of ``data``, in eval mode.

    Parameters, buffers and modes stay as they are, and nothing is recorded on the tape. The
    arguments and errors are those of :func:`fit`. Up to two batches are not compiled.

    Returns:
        ``loss`` and each metric by name.

    >>> from tinygrad_mlp import nn
    >>> model = nn.Linear(1, 1)
    >>> _ = nn.init.constant_(model.weight, 2.0), nn.init.constant_(model.bias, 0.0)
    >>> evaluate(model, ([[1.0], [2.0]], [[2.0], [5.0]]), metrics=["mse"])
    {'loss': 0.5, 'mse': 0.5}
    """
    samples = check_data("data", data, model)
    batches = Batches((samples.x, samples.y), batch_size, shuffle=False)
    objective = Objective(model, samples, loss, metrics)
    with preserve_modes(model):
        return Epoch(model, objective, batches, compile=compile).run()
