"""A learning rate that falls when a metric stops improving."""

from __future__ import annotations

import math
from typing import Any, Literal

from ..optimizer import Optimizer
from .base import LRScheduler, check_count, check_optimizer, per_group


class ReduceLROnPlateau(LRScheduler):
    """lr = max(lr * factor, min_lr) when more than ``patience`` steps saw no better metric.

    Better than the best so far means, in ``mode`` "min" (in "max" the other way round)::

        metric < best * (1 - threshold)           threshold_mode "rel"
        metric < best - threshold                 threshold_mode "abs"

    After a fall ``cooldown`` steps are not counted. A fall of ``eps`` or less is left out.

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
        check_optimizer("ReduceLROnPlateau", optimizer)
        if not 0 <= factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be from 0 to below 1, got {factor:g}")
        if mode not in ("min", "max"):
            raise ValueError(f'ReduceLROnPlateau: mode must be "min" or "max", got {mode!r}')
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f'ReduceLROnPlateau: threshold_mode must be "rel" or "abs", got {threshold_mode!r}'
            )
        self.optimizer, self.last_epoch = optimizer, 0
        self.mode, self.factor, self.eps = mode, float(factor), float(eps)
        self.threshold, self.threshold_mode = float(threshold), threshold_mode
        self.patience = check_count("ReduceLROnPlateau: patience", patience, least=0)
        self.cooldown = check_count("ReduceLROnPlateau: cooldown", cooldown, least=0)
        self.min_lrs = per_group("ReduceLROnPlateau: min_lr", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics: Any) -> None:  # type: ignore[override]  # as PyTorch's
        """Look at a new value of the metric, a number or a 0-d tensor."""
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
        """Whether a metric is better than the best so far, by more than the threshold."""
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            bar = self.best * (1.0 + sign * self.threshold)
        else:
            bar = self.best + sign * self.threshold
        return metric > bar if self.mode == "max" else metric < bar

    def get_lr(self) -> list[float]:
        """The rates after a fall."""
        rates = [group["lr"] for group in self.optimizer.param_groups][: len(self.min_lrs)]
        lower = [
            max(lr * self.factor, least) for lr, least in zip(rates, self.min_lrs, strict=True)
        ]
        return [new if lr - new > self.eps else lr for lr, new in zip(rates, lower, strict=True)]
