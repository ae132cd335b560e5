"""Data as `fit` wants them, or an error before anything was trained.

What can be wrong with data is found here, once and for all rows, and not in the middle of an epoch
when half of the weights' updates are made.
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
from ..ops.create import tensor
from ..optim import Optimizer


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs and targets that can be trained on: checked, and in the model's dtype.

    Attributes:
        name: what the caller calls them, for errors.
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

    def __len__(self) -> int:
        return len(self.x)


def prepare(name: str, pair: Any, model: Module) -> Rows:
    """``pair`` of inputs and targets (arrays, lists or Tensors, or a Dataset) as :class:`Rows`.

    Inputs are cast to the model's dtype, integer and boolean targets to int64 (they are labels),
    other targets to the model's dtype.

    Raises:
        TypeError: ``pair`` is no pair, or holds what is not numbers.
        ValueError: no rows, different lengths, or values that are not finite.
    """
    try:
        x, y = pair
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a pair of inputs and targets, got {type(pair).__name__}; "
            f"write {name}=(x, y)"
        ) from None
    dtype = model_dtype(model)
    inputs = _floats(f"x of {name}", array_of(x), dtype)
    targets = _targets(f"y of {name}", array_of(y), dtype)
    if inputs.ndim < 2:
        raise ValueError(
            f"x of {name} must be (rows, features), got shape {inputs.shape}; "
            "write x[:, None] for one feature, x[None] for one row"
        )
    if targets.ndim == 0 or len(inputs) != len(targets):
        raise ValueError(
            f"{name}: x and y must have a row for each other, got x of shape {inputs.shape} "
            f"and y of shape {targets.shape}"
        )
    if len(inputs) == 0:
        raise ValueError(f"{name} has no rows: x has shape {inputs.shape}")
    return Rows(name, inputs, targets)


def model_dtype(model: Module) -> np.dtype[Any]:
    """The dtype of the model's first floating-point parameter; float32 if it has none."""
    dtypes = (np.dtype(parameter.dtype) for parameter in model.parameters())
    return next((dtype for dtype in dtypes if dtype.kind == "f"), np.dtype(np.float32))


def check_targets(model: Module, rows: Rows) -> None:
    """Hold the targets against what ``model`` gives for the first row, where the loss is our own.

    Cross-entropy wants labels from 0 to the number of outputs; the squared error wants targets
    of the outputs' shape, which broadcasting would otherwise hide.

    Raises:
        ValueError: they do not fit.
    """
    with keeping_modes(model), no_grad():
        model.eval()
        shape = (len(rows), *model(tensor(rows.x[:1])).shape[1:])
    if not rows.labels:
        _check_values(rows, shape)
    elif len(shape) != 2 or rows.y.ndim != 1:
        raise ValueError(
            f"{rows.name}: integer targets are labels of shape (N,) for outputs (N, classes), got "
            f"y of shape {rows.y.shape} and outputs {shape}; one-hot labels are y.argmax(1), and "
            f"integers that are quantities are y.astype({str(rows.x.dtype)!r})"
        )
    else:
        _check_labels(rows, classes=shape[1])


def check_optimizer(model: Module, optimizer: Any) -> None:
    """Refuse to train with what cannot change the model.

    Raises:
        TypeError: it is no optimizer.
        ValueError: it has none of the model's parameters.
        RuntimeError: gradients are off.
    """
    if not isinstance(optimizer, Optimizer):
        kind = optimizer.__name__ if isinstance(optimizer, type) else type(optimizer).__name__
        raise TypeError(
            f"optimizer must be an Optimizer, got {kind}; "
            "write optimizer=optim.Adam(model.parameters())"
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            f"optimizer, an {optimizer.name}, trains none of the model's parameters; make it from "
            "this model, as in optim.Adam(model.parameters())"
        )
    if not is_grad_enabled():
        raise RuntimeError("fit needs gradients, and they are off; call it outside of no_grad()")


def check_batches(model: Module, batches: Batches) -> None:
    """Refuse to train on no batch at all, and on one row where BatchNorm would take its variance.

    Raises:
        ValueError: there is no batch, or its last one has one row and the model a BatchNorm.
    """
    rows, size = batches.rows, batches.batch_size
    if len(batches) == 0:
        raise ValueError(
            f"drop_last=True leaves no batch, because {rows} rows do not fill batch_size={size}; "
            f"write batch_size={rows}"
        )
    norms = [name for name, module in model.named_modules() if isinstance(module, BatchNorm1d)]
    if norms and batches.last == 1:
        raise ValueError(
            f"batch_size={size} makes a batch of one row out of {rows}, and BatchNorm1d "
            f"({norms[0]!r}) cannot take the variance of one row in training; "
            f"{_without_single_rows(rows, size)}"
        )


def _without_single_rows(rows: int, size: int) -> str:
    if rows == 1:
        return "give it more rows"
    larger = next(other for other in range(max(size, 2), rows + 1) if rows % other != 1)
    return f"write batch_size={larger}" + (" or drop_last=True" if size > 1 else "")


def check_scheduler(scheduler: Any, optimizer: Optimizer) -> None:
    """Refuse a schedule that would not change the rates of ``optimizer``.

    Raises:
        TypeError: it is no schedule.
        ValueError: it is one of another optimizer.
    """
    if scheduler is None:
        return
    if isinstance(scheduler, type) or not callable(getattr(scheduler, "step", None)):
        raise TypeError(
            f"scheduler must be a schedule of the optimizer, got {scheduler!r:.60}; "
            "write scheduler=CosineAnnealingLR(optimizer, T_max=epochs)"
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError(
            f"scheduler, a {type(scheduler).__name__}, steps the rates of another optimizer; make "
            "it from the one that trains"
        )


def positive(name: str, value: float | None) -> float | None:
    """``value``, which must be above 0 and finite, or None.

    Raises:
        TypeError: it is no number.
        ValueError: it is not.
    """
    if isinstance(value, bool) or not (value is None or isinstance(value, Real)):
        raise TypeError(f"{name} must be a number, got {value!r}; write {name}=1.0")
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value:g}")
    return value


@contextmanager
def keeping_modes(model: Module) -> Iterator[None]:
    """Put each module's own ``training`` flag back at the end, whatever its parent's is."""
    was = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in was:
            module.training = training


@contextmanager
def buffers_put_back(model: Module) -> Iterator[None]:
    """After an error, give the model's buffers, as running statistics, their values of before."""
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    except Exception:
        with no_grad():
            for buffer, before in kept:
                buffer.copy_(before)
        raise


def array_of(value: Any) -> Array:
    """``value``, an array, a list or a Tensor, as an array."""
    if isinstance(value, Tensor):
        value = value.detach().numpy()
    array: Array = np.asarray(value)
    return array


def _floats(what: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{what} must be numbers, got dtype {array.dtype}; "
            f"write {what[0]}.astype({str(dtype)!r})"
        )
    with np.errstate(over="ignore"):  # what overflows is found as inf below, with its place
        floats: Array = np.ascontiguousarray(array, dtype=dtype)
    finite = np.isfinite(floats)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{what} must be finite in {dtype}, got {array[place]} at {list(place)} and "
            f"{floats.size - int(finite.sum())} such values in all; drop or fill these rows"
        )
    return floats


def _targets(what: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype.kind in "biu":
        return np.ascontiguousarray(array, dtype=np.int64)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{what} must be integer labels or floating-point values, got dtype {array.dtype}; "
            "np.unique(y, return_inverse=True) numbers the classes"
        )
    return _floats(what, array, dtype)


def _check_labels(rows: Rows, classes: int) -> None:
    low, high = int(rows.y.min()), int(rows.y.max())
    if low < 0 or high >= classes:
        row = int(rows.y.argmin() if low < 0 else rows.y.argmax())
        raise ValueError(
            f"y of {rows.name} must be labels from 0 to {classes - 1}, because the model has "
            f"{classes} outputs, got {rows.y[row]} in row {row}; number the classes from 0, or "
            "widen the last layer"
        )


def _check_values(rows: Rows, outputs: tuple[int, ...]) -> None:
    if rows.y.shape == outputs:
        return
    whole = rows.y.ndim == 1 and bool((rows.y == np.floor(rows.y)).all())
    if whole and len(outputs) == 2 and outputs[1] > 1:
        hint = "labels must be integers: write y.astype('int64')"
    elif rows.y.shape == outputs[:1] and outputs[1:] == (1,):
        hint = "write y[:, None]"
    else:
        hint = "give the last layer one output for each target"
    raise ValueError(
        f"y of {rows.name} has shape {rows.y.shape} where the model's outputs have {outputs}; "
        f"{hint}"
    )
