"""The loss that is minimised, the loss and metrics that are measured, class weights, penalties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._common.array import Array
from .._tensor import Tensor
from ..autograd.modes import no_grad
from ..nn import Module
from ..nn import functional as F
from ..ops.create import tensor, zeros
from .metrics import Metric, accuracy, batch_sums, resolve_metrics
from .validation import Samples, check_targets, model_dtype, preserve_modes

Loss = Callable[[Tensor, Tensor], Tensor]
ClassWeight = Mapping[int, float] | Sequence[float] | str


class Objective:
    """The losses and metrics of a training or an evaluation.

    ``training_loss`` plus ``penalty()`` is minimised; ``loss``, without class weights, is measured
    in validation.
    """

    def __init__(
        self,
        model: Module,
        samples: Samples,
        loss: Loss | None,
        metrics: Sequence[str | Metric] | None,
        class_weight: ClassWeight | None = None,
        penalty: Callable[[], Tensor] | None = None,
    ) -> None:
        if loss is not None and not callable(loss):
            raise TypeError(f"loss must be a function, got {loss!r:.60}; write loss=F.mse_loss")
        if penalty is not None and not callable(penalty):
            raise TypeError(f"penalty must be a function, got {penalty!r:.60}; use Penalty(model)")
        self.penalty = penalty
        self.is_default, self.labels = loss is None, samples.labels
        self.loss: Loss = loss or (F.cross_entropy if self.labels else F.mse_loss)
        classifies = self.is_default and self.labels
        default = [accuracy] if classifies else []
        self.metrics = resolve_metrics(default if metrics is None else metrics)
        self.check(model, samples)
        self.training_loss = self.loss
        if class_weight is not None:
            if not classifies:
                raise ValueError(
                    "class_weight is for labels under the default loss; put the weights into your "
                    "own loss: nn.CrossEntropyLoss(weight)"
                )
            self.training_loss = _weighted_cross_entropy(model, samples.y, class_weight)

    def check(self, model: Module, samples: Samples) -> None:
        """Check the targets against the model's outputs for the first row, in eval mode.

        Raises:
            TypeError: these are labels and those of the training are not, or vice versa.
            ValueError: they do not fit the default loss or a built-in metric.
        """
        if samples.labels != self.labels:
            raise TypeError(
                f"y of {samples.name} has dtype {samples.y.dtype}, where y of data are "
                f"{'integer labels' if self.labels else 'floating-point values'}"
            )
        sums = [found for metric in self.metrics.values() if (found := batch_sums(metric))]
        if self.is_default or sums:
            with preserve_modes(model), no_grad():
                model.eval()
                outputs = model(tensor(samples.x[:1]))
                if self.is_default:
                    check_targets(samples, (len(samples.x), *outputs.shape[1:]))
                for function in (function for each in sums for function in each.functions):
                    function(outputs, tensor(samples.y[:1]), zeros((), dtype="float64"))


def _weighted_cross_entropy(model: Module, labels: Array, class_weight: ClassWeight) -> Loss:
    """Return the cross-entropy with class weights, one for each output of the last layer."""
    matrices = [p for p in model.parameters() if len(p.shape) == 2]
    classes = int(matrices[-1].shape[0]) if matrices else int(labels.max()) + 1
    weight = tensor(class_weights(labels, class_weight, classes).astype(model_dtype(model)))

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        mean: Tensor = F.cross_entropy(outputs, targets, weight=weight)
        return mean

    return loss


def class_weights(labels: Array, class_weight: ClassWeight, classes: int) -> Array:
    """Return the weight of each class as float64 (classes,).

    "balanced" gives class c the weight N / (classes * N_c) for N_c of N rows, so that all classes
    have the same total weight (as in scikit-learn).

    Args:
        labels: int64 (N,).
        class_weight: one weight per class, a dict of the weights that are not 1, or "balanced".

    Raises:
        ValueError: it is none of these, or a weight is negative or not finite.

    >>> class_weights(np.array([0, 0, 0, 1]), "balanced", 2).round(3).tolist()
    [0.667, 2.0]
    """
    weights: Any = class_weight
    if isinstance(class_weight, Mapping):
        if unknown := class_weight.keys() - range(classes):
            raise ValueError(
                f"class_weight has {unknown.pop()!r}, and labels are 0 to {classes - 1}"
            )
        weights = [class_weight.get(label, 1.0) for label in range(classes)]
    elif isinstance(class_weight, str) and class_weight == "balanced":
        weights = len(labels) / (classes * np.bincount(labels, minlength=classes).clip(1))
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (classes,) or not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(
            f"class_weight must be 'balanced', a dict, or {classes} finite numbers that are not "
            f"negative, got {class_weight!r}"
        )
    return array


class Penalty:
    """The elastic-net penalty l1 * sum |w| + l2 * sum w^2 over all weight matrices of ``model``.

    Parameters of one dimension (biases, scales) are left out. `fit` adds it to the loss that is
    minimised, not to the loss that is measured.

    Args:
        l1: the factor of the absolute values (lasso).
        l2: the factor of the squares (ridge); unlike ``weight_decay`` it has no factor 1/2.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> model = nn.Linear(2, 1)
    >>> with tg.no_grad():
    ...     _ = model.weight.copy_(tg.tensor([[3.0, -1.0]]))
    >>> Penalty(model, l1=0.5, l2=0.1)().item()
    3.0

    H. Zou and T. Hastie, "Regularization and variable selection via the elastic net", Journal of
    the Royal Statistical Society B 67, 2005.
    """

    def __init__(self, model: Module, *, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = l1, l2
        self.weights = [p for p in model.parameters() if len(p.shape) > 1]

    def __call__(self) -> Tensor:
        """Return the penalty of the present weights: a 0-d tensor."""
        terms: list[Tensor] = []
        if self.l1:
            terms += [self.l1 * weight.abs().sum() for weight in self.weights]
        if self.l2:
            terms += [self.l2 * weight.square().sum() for weight in self.weights]
        return sum(terms[1:], terms[0]) if terms else zeros(())
