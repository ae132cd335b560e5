"""Learning-rate schedules: each ``step()`` sets ``group["lr"]`` of every parameter group.

Most schedules compute the next rate from the present one, as PyTorch does, so that schedules may
be used together on one optimizer. The docstrings give the closed form: the rate lr(t) after t steps
by the rate lr(0) that the optimizer began with.

>>> import tinygrad_mlp as tg
>>> from tinygrad_mlp import optim
>>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=0.8)
>>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
>>> for epoch in range(4):
...     # train, then:
...     scheduler.step()
...     print(scheduler.get_last_lr())
[0.8]
[0.4]
[0.4]
[0.2]
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, check_count, check_optimizer, per_group
from .plateau import ReduceLROnPlateau


class LambdaLR(LRScheduler):
    """lr(t) = lr(0) * lr_lambda(t), for a function or a list of them, one a group.

    The functions are not part of the state dict.
    """

    unsaved = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        check_optimizer("LambdaLR", optimizer)
        self.lr_lambdas = per_group("LambdaLR: lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The initial rates times the functions' values."""
        return [
            base * function(self.last_epoch)
            for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]


class StepLR(LRScheduler):
    """lr(t) = lr(0) * gamma^(t // step_size)."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        self.step_size, self.gamma = check_count("StepLR: step_size", step_size), float(gamma)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Times gamma every ``step_size`` steps."""
        falls = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return lr * self.gamma if falls else lr


class MultiStepLR(LRScheduler):
    """lr(t) = lr(0) * gamma^(how many milestones are <= t)."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones, self.gamma = Counter(milestones), float(gamma)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Times gamma at a milestone, as often as it was named."""
        times = self.milestones[self.last_epoch]
        return lr * self.gamma**times if times else lr


class ConstantLR(LRScheduler):
    """lr(t) = lr(0) * factor for t < total_iters, lr(0) after."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < factor <= 1:
            raise ValueError(f"ConstantLR: factor must be above 0, at most 1, got {factor:g}")
        self.factor, self.total_iters = float(factor), total_iters
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Down at the start, up again at the end."""
        if self.last_epoch == 0:
            return lr * self.factor
        return lr * (1.0 / self.factor) if self.last_epoch == self.total_iters else lr


class LinearLR(LRScheduler):
    """lr(t) = lr(0) * (start_factor + (end_factor - start_factor) * min(t / total_iters, 1))."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1:
            raise ValueError(
                f"LinearLR: start_factor must be above 0, at most 1, got {start_factor:g}"
            )
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be from 0 to 1, got {end_factor:g}")
        self.start_factor, self.end_factor = float(start_factor), float(end_factor)
        self.total_iters = check_count("LinearLR: total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Times the factor of this step over that of the step before."""
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self.starting or self.last_epoch > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return lr * (1.0 + rise / before)


class ExponentialLR(LRScheduler):
    """lr(t) = lr(0) * gamma^t."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Times gamma."""
        return lr if self.starting else lr * self.gamma


class CosineAnnealingLR(LRScheduler):
    """lr(t) = eta_min + (lr(0) - eta_min) * (1 + cos(pi * t / T_max)) / 2.

    I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017,
    without the restarts: after T_max the rate rises again.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max = check_count("CosineAnnealingLR: T_max", T_max)
        self.eta_min = float(eta_min)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """What lies above eta_min, times this step's 1 + cos over that of the step before."""
        if self.starting:
            return lr
        t, period = self.last_epoch, self.T_max
        if (t - 1 - period) % (2 * period) == 0:  # the step before was at the bottom: 0 / 0
            return lr + (base_lr - self.eta_min) * (1 - math.cos(math.pi / period)) / 2
        now, before = 1 + math.cos(math.pi * t / period), 1 + math.cos(math.pi * (t - 1) / period)
        return now / before * (lr - self.eta_min) + self.eta_min


class SequentialLR(LRScheduler):
    """One schedule after another: ``schedulers[k]`` from step ``milestones[k - 1]`` on.

    Each begins at its own step 0, from the initial rates. To resume, use `load_state_dict`.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm, fall = ConstantLR(optimizer, factor=0.1), ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = SequentialLR(optimizer, [warm, fall], milestones=[2])
    >>> rates = scheduler.get_last_lr()
    >>> for epoch in range(4):
    ...     scheduler.step()
    ...     rates += scheduler.get_last_lr()
    >>> rates
    [0.1, 0.1, 1.0, 0.5, 0.25]
    """

    unsaved = ("optimizer", "_schedulers")

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]
    ):
        check_optimizer("SequentialLR", optimizer)
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers want {max(len(schedulers) - 1, 0)} "
                f"milestones, got {len(milestones)}"
            )
        for k, each in enumerate(schedulers):
            if isinstance(each, (ReduceLROnPlateau, SequentialLR)):
                raise ValueError(f"SequentialLR: a {type(each).__name__} cannot be one of several")
            if not isinstance(each, LRScheduler) or each.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: scheduler {k} is none of this optimizer")
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.optimizer, self.last_epoch = optimizer, 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first.restart()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """A step of the schedule whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            self._schedulers[turn].restart()
        else:
            self._schedulers[turn].step()
        self._last_lr = self._schedulers[turn].get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """All that this schedule and its parts know."""
        return super().state_dict() | {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; ValueError for the state of other schedules."""
        parts = state_dict.get("_schedulers", ())
        if len(parts) != len(self._schedulers):
            raise ValueError(
                f"SequentialLR.load_state_dict: it has {len(parts)} schedules, not "
                f"{len(self._schedulers)}"
            )
        own = self.check_state(state_dict)
        found = [s.check_state(part) for s, part in zip(self._schedulers, parts, strict=True)]
        vars(self).update(own)
        for scheduler, part in zip(self._schedulers, found, strict=True):
            scheduler.load_state_dict(part)
