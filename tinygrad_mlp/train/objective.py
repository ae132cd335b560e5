"""What a training minimises, and what it measures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._common.array import Array
from .._tensor import Tensor
from ..nn import Module
from ..nn import functional as F
from ..ops.create import tensor
from .epoch import Loss
from .metrics import Metric, accuracy, named
from .validation import Rows, check_targets, model_dtype

ClassWeight = Mapping[int, float] | Sequence[float] | str


class Objective:
    """The loss and the metrics: what to ask of a batch.

    ``training_loss`` is the loss that is gone down, ``loss`` that which validation measures:
    ``class_weight`` makes them differ.
    """

    def __init__(
        self,
        model: Module,
        rows: Rows,
        loss: Loss | None,
        metrics: Sequence[str | Metric] | None,
        class_weight: ClassWeight | None = None,
    ) -> None:
        if loss is not None and not callable(loss):
            raise TypeError(
                f"loss must be a function of (outputs, targets), got {type(loss).__name__} "
                f"{loss!r:.60}; write loss=F.mse_loss"
            )
        self.own = loss is None
        self.loss: Loss = loss or (F.cross_entropy if rows.labels else F.mse_loss)
        default = [accuracy] if self.own and rows.labels else []
        self.metrics = named(default if metrics is None else metrics)
        self.labels = rows.labels
        self.check(model, rows)
        self.training_loss = self.loss
        if class_weight is not None:
            if not (self.own and rows.labels):
                raise ValueError(
                    "class_weight is for labels under the default loss; write it into a loss of "
                    "your own: nn.CrossEntropyLoss(weight)"
                )
            self.training_loss = _Weighted(model, rows.y, class_weight)

    def check(self, model: Module, rows: Rows) -> None:
        """Refuse targets that do not fit the model's outputs, or that differ in kind."""
        if rows.labels != self.labels:
            raise TypeError(
                f"y of {rows.name} has dtype {rows.y.dtype}, where y of data are "
                f"{'integer labels' if self.labels else 'floating-point values'}"
            )
        if self.own:
            check_targets(model, rows)


class _Weighted:
    """The cross-entropy with a weight for each class."""

    def __init__(self, model: Module, labels: Array, given: ClassWeight) -> None:
        classes = _outputs(model)
        count = int(labels.max()) + 1 if classes is None else classes
        self.weight = tensor(class_weights(labels, given, count).astype(model_dtype(model)))

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = F.cross_entropy(outputs, targets, weight=self.weight)
        return loss


def _outputs(model: Module) -> int | None:
    """How many outputs the last layer with a matrix of weights has."""
    matrices = [p for p in model.parameters() if len(p.shape) == 2]
    return int(matrices[-1].shape[0]) if matrices else None


def class_weights(labels: Array, given: ClassWeight, classes: int) -> Array:
    """Float64 (classes,): the weight of each class.

    ``given`` is a weight for each, or a dict of those that are not 1, or "balanced": then each
    class weighs N / (classes * its rows), so that all together weigh the same.

    Raises:
        ValueError: it is none of these, or a weight is negative or not finite.

    >>> class_weights(np.array([0, 0, 0, 1]), "balanced", 2).round(3).tolist()
    [0.667, 2.0]
    """
    if isinstance(given, str):
        if given != "balanced":
            raise ValueError(
                f"class_weight must be 'balanced', a dict or a sequence, got {given!r}"
            )
        counts = np.bincount(labels, minlength=classes)
        weights = len(labels) / (classes * np.maximum(counts, 1))
    elif isinstance(given, Mapping):
        weights = np.ones(classes)
        for label, weight in given.items():
            if label not in range(classes):
                raise ValueError(f"class_weight has {label!r}, and labels are 0 to {classes - 1}")
            weights[label] = weight
    else:
        try:
            weights = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            weights = np.empty(0)
    if weights.shape != (classes,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            f"class_weight must be {classes} finite numbers, none of them negative, got {given!r}"
        )
    return weights


class Penalty:
    """l1 * sum |w| + l2 * sum w^2 over all matrices of weights, not over biases and scales.

    It is added to the loss that is gone down, not to the one that is measured.
    """

    def __init__(self, model: Module, *, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = l1, l2
        self.weights = [p for p in model.parameters() if len(p.shape) > 1]

    def __call__(self) -> Tensor:
        """The penalty of the weights as they are: a 0-d tensor."""
        parts: list[Any] = []
        if self.l1:
            parts += [self.l1 * weight.abs().sum() for weight in self.weights]
        if self.l2:
            parts += [self.l2 * weight.square().sum() for weight in self.weights]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        found: Tensor = total
        return found
