"""Checks of data, optimizer and schedule, before the first step and for all rows at once.

An error in the middle of an epoch would leave a model with half of its updates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .._common.array import Array
from .._tensor import Tensor
from ..autograd.modes import is_grad_enabled, no_grad
from ..data.batching import Batches
from ..nn import BatchNorm1d, Module
from ..ops import random
from ..optim import Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau


@dataclass(frozen=True, eq=False)
class Samples:
    """Checked inputs and targets, in the model's dtype.

    Attributes:
        name: the name of the argument that they come from, for errors.
        x: (N, ...) in the model's dtype, finite.
        y: (N,) int64 labels, or (N, ...) finite in the model's dtype.
    """

    name: str
    x: Array
    y: Array

    @property
    def labels(self) -> bool:
        """Whether the targets are class indices."""
        return self.y.dtype == np.int64


def check_data(name: str, pair: Any, model: Module) -> Samples:
    """Return a pair of inputs and targets (arrays, lists, Tensors or a Dataset) as `Samples`.

    Inputs are cast to the model's dtype, integer and boolean targets (labels) to int64, other
    targets to the model's dtype.

    Raises:
        TypeError: ``pair`` is not a pair, or an array does not hold numbers.
        ValueError: there are no rows, the lengths differ, or a value is not finite.
    """
    try:
        x, y = pair
    except (TypeError, ValueError):
        cls = type(pair).__name__
        raise TypeError(f"{name} must be a pair, got {cls}; write {name}=(x, y)") from None
    dtype = model_dtype(model)
    x, y = _to_numbers(f"x of {name}", x, dtype), _to_numbers(f"y of {name}", y, dtype)
    if x.ndim < 2:
        raise ValueError(
            f"x of {name} must be (rows, features), got shape {x.shape}; "
            "write x[:, None] for one feature, x[None] for one row"
        )
    if x.shape[:1] != y.shape[:1]:
        raise ValueError(f"{name}: x of shape {x.shape} and y of shape {y.shape} differ in length")
    if not len(x):
        raise ValueError(f"{name} has no rows: x has shape {x.shape}")
    return Samples(name, x, y)


def model_dtype(model: Module) -> np.dtype[Any]:
    """Return the dtype of the model's first floating-point parameter; float32 if it has none."""
    dtypes = (np.dtype(parameter.dtype) for parameter in model.parameters())
    return next((dtype for dtype in dtypes if dtype.kind == "f"), np.dtype(np.float32))


def check_targets(samples: Samples, outputs: tuple[int, ...]) -> None:
    """Check the targets against outputs of this shape, (N, ...), for the default losses.

    Cross-entropy needs labels below the number of outputs; the squared error needs targets of the
    outputs' shape, since broadcasting would hide a mistake.

    Raises:
        ValueError: they do not fit.
    """
    y, name = samples.y, samples.name
    if samples.labels and (len(outputs) != 2 or y.ndim != 1):
        raise ValueError(
            f"{name}: integer targets are labels of shape (N,) for outputs (N, classes), got y of "
            f"shape {y.shape} and outputs {outputs}; write y.argmax(1) for one-hot labels, "
            f"y.astype({str(samples.x.dtype)!r}) for integers that are quantities"
        )
    if samples.labels:
        classes, row = outputs[1], int(y.argmin() if y.min() < 0 else y.argmax())
        if not 0 <= y[row] < classes:
            raise ValueError(
                f"y of {name} must be labels from 0 to {classes - 1}, because the model has "
                f"{classes} outputs, got {y[row]} in row {row}; number the classes from 0, or "
                "widen the last layer"
            )
    elif y.shape != outputs:
        fix = "give the last layer one output for each target"
        if len(outputs) == 2 and outputs[1] > 1 and y.ndim == 1 and (y == np.floor(y)).all():
            fix = "labels must be integers: write y.astype('int64')"
        elif y.shape == outputs[:1] and outputs[1:] == (1,):
            fix = "write y[:, None]"
        raise ValueError(
            f"y of {name} has shape {y.shape} where the model's outputs have {outputs}; {fix}"
        )


def check_optimizer(model: Module, optimizer: Any) -> None:
    """Check that ``optimizer`` can train the model.

    Raises:
        TypeError: it is not an Optimizer.
        ValueError: it has none of the model's parameters.
        RuntimeError: gradients are off.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an Optimizer, got {optimizer!r:.60}; "
            "write optimizer=optim.Adam(model.parameters())"
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            f"optimizer, an {optimizer.name}, trains none of the model's parameters; make it from "
            "this model, as in optim.Adam(model.parameters())"
        )
    if not is_grad_enabled():
        raise RuntimeError("fit needs gradients, which are off; call it outside of no_grad()")


def check_batches(model: Module, batches: Batches) -> None:
    """Check that there is a batch, and none of a single row if the model has a BatchNorm.

    Raises:
        ValueError: otherwise.
    """
    rows, size = batches.rows, batches.batch_size
    if not len(batches):
        raise ValueError(
            f"drop_last=True leaves no batch, because {rows} rows do not fill batch_size={size}; "
            f"write batch_size={rows}"
        )
    norms = [name for name, module in model.named_modules() if isinstance(module, BatchNorm1d)]
    if norms and batches.last == 1:
        larger = (other for other in range(max(size, 2), rows + 1) if rows % other != 1)
        fix = "pass more rows" if rows == 1 else f"write batch_size={next(larger)}"
        if 1 < size < rows:
            fix += " or drop_last=True"
        raise ValueError(
            f"batch_size={size} makes a batch of one row out of {rows}, and BatchNorm1d "
            f"({norms[0]!r}) has no variance of one row in training; {fix}"
        )


def check_scheduler(scheduler: Any, optimizer: Optimizer) -> None:
    """Check that ``scheduler`` is None or sets the learning rates of ``optimizer``.

    Raises:
        TypeError: it has no ``step``.
        ValueError: it belongs to another optimizer, or has mode "max".
    """
    if scheduler is None:
        return
    name = type(scheduler).__name__
    if isinstance(scheduler, type) or not callable(getattr(scheduler, "step", None)):
        raise TypeError(
            f"scheduler must be a schedule of the optimizer, got {scheduler!r:.60}; "
            "write scheduler=CosineAnnealingLR(optimizer, T_max=epochs)"
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError(f"scheduler, a {name}, sets the learning rates of another optimizer")
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != "min":
        raise ValueError(f'scheduler, a {name}, receives the loss, which falls: write mode="min"')


def positive(name: str, value: float | None) -> float | None:
    """Return ``value``, which must be None or a positive finite number.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not positive and finite.
    """
    if isinstance(value, bool) or not (value is None or isinstance(value, Real)):
        raise TypeError(f"{name} must be a number, got {value!r}; write {name}=1.0")
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value:g}")
    return value


@contextmanager
def preserve_modes(model: Module) -> Iterator[None]:
    """Restore the ``training`` flag of each module of ``model`` at the end."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def restore_state(model: Module, always: bool = False) -> Iterator[None]:
    """Restore the model's buffers and the random generator after an error (or always)."""
    saved = [(buffer, buffer.detach().clone()) for buffer in (*model.buffers(), random.state())]
    restore = True
    try:
        yield
        restore = always
    finally:
        if restore:
            with no_grad():
                for buffer, value in saved:
                    buffer.copy_(value)


def to_array(value: Any) -> Array:
    """Return an array, a list or a Tensor as an array."""
    if isinstance(value, Tensor):
        value = value.detach().numpy()
    array: Array = np.asarray(value)
    return array


def _to_numbers(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Return ``value`` in C order and in this dtype; raise if a number is not finite in it."""
    array = to_array(value)
    if array.dtype.kind not in "biuf":
        labels = "np.unique(y, return_inverse=True)[1] for the names of classes"
        fix = labels if name[0] == "y" else f"x.astype({str(dtype)!r})"
        raise TypeError(f"{name} must be numbers, got dtype {array.dtype}; write {fix}")
    if name[0] == "y" and array.dtype.kind != "f":
        return np.ascontiguousarray(array, dtype=np.int64)
    with np.errstate(over="ignore"):  # an overflow to inf is reported below
        numbers: Array = np.ascontiguousarray(array, dtype=dtype)
    finite = np.isfinite(numbers)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} must be finite in {dtype}, got {array[index]} at {list(index)} and "
            f"{finite.size - int(finite.sum())} such values in all; drop or fill these rows"
        )
    return numbers
