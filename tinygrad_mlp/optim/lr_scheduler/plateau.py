"""`ReduceLROnPlateau`: a learning rate that falls when a metric stops improving."""

from __future__ import annotations

import math
from typing import Any, Literal

from ...ops.validation import integer
from ..optimizer import Optimizer
from ..param_group import Range, number_of
from .base import LRScheduler, check_choice, check_optimizer, per_group


class ReduceLROnPlateau(LRScheduler):
    """Lower the rate after more than ``patience`` steps without a better metric.

        lr = max(lr * factor, min_lr)

    In ``mode`` "min" a metric is better if it is (in "max" above, with the other sign)::

        metric < best * (1 - threshold)           threshold_mode "rel"
        metric < best - threshold                 threshold_mode "abs"

    Args:
        optimizer: the optimizer.
        mode: "min" or "max": which metrics are better.
        factor: the factor of the rate, from 0 to below 1.
        patience: the number of steps without a better metric that change nothing.
        threshold: how much better a metric must be.
        threshold_mode: "rel" or "abs".
        cooldown: the number of steps after a change that are not counted.
        min_lr: the lowest rate, or a list, one for each group.
        eps: a change of the rate by this or less is left out.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ):
        name = type(self).__name__
        check_optimizer(name, optimizer)
        check_choice(name, "mode", mode, ("min", "max"))
        check_choice(name, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.optimizer, self.last_epoch = optimizer, 0
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = number_of(name, "factor", factor, Range(least=0, below=1))
        self.threshold, self.eps = float(threshold), float(eps)
        self.patience = integer(name, "patience", patience, least=0)
        self.cooldown = integer(name, "cooldown", cooldown, least=0)
        self.min_lrs = per_group(name, "min_lr", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics: Any) -> None:  # type: ignore[override]  # as PyTorch's
        """Compare a new value of the metric, a number or a 0-d tensor, with the best one."""
        current = float(metrics)
        self.last_epoch += 1
        if self.is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self.set_lrs(self.get_lr())

    def is_better(self, metric: float) -> bool:
        """Return whether a metric is better than the best one by more than the threshold."""
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            limit = self.best * (1.0 + sign * self.threshold)
        else:
            limit = self.best + sign * self.threshold
        return metric > limit if self.mode == "max" else metric < limit

    def get_lr(self) -> list[float]:
        """Return the lowered rates."""
        rates = [group["lr"] for group in self.optimizer.param_groups][: len(self.min_lrs)]
        pairs = list(zip(rates, self.min_lrs, strict=True))
        lower = [max(lr * self.factor, min_lr) for lr, min_lr in pairs]
        return [new if lr - new > self.eps else lr for lr, new in zip(rates, lower, strict=True)]
