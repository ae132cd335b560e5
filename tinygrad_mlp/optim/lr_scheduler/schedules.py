"""Schedules with a closed form, and one schedule after another.

Most compute the next rate from the present one, as PyTorch does, so that several schedules can be
used on one optimizer. The docstrings give the closed form: the rate lr(t) after t steps by the
initial rate lr(0).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...ops.validation import integer
from ..optimizer import Optimizer
from ..param_group import Range, number_of
from .base import LRScheduler, check_optimizer, per_group
from .cosine import cos
from .plateau import ReduceLROnPlateau


class LambdaLR(LRScheduler):
    """Multiply the initial rate by a function: lr(t) = lr(0) * lr_lambda(t).

    Args:
        optimizer: the optimizer.
        lr_lambda: a function of the step t, or one per group; not saved in the state dict.
        last_epoch: the number of steps made, -1 before the first.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=0.5)
    >>> optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1, (t + 1) / 10)).get_last_lr()
    [0.05]
    """

    unsaved = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        check_optimizer("LambdaLR", optimizer)
        self.lr_lambdas = per_group("LambdaLR", "lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the initial rates times the functions' values."""
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [base_lr * function(self.last_epoch) for base_lr, function in pairs]


class StepLR(LRScheduler):
    """Multiply by gamma every ``step_size`` steps: lr(t) = lr(0) * gamma^(t // step_size).

    Args:
        optimizer: the optimizer.
        step_size: the number of steps between two changes.
        gamma: the factor.
        last_epoch: the number of steps made, -1 before the first.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [1.0]
    [0.5]
    [0.5]
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        self.step_size = integer("StepLR", "step_size", step_size, least=1)
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Multiply by gamma every ``step_size`` steps."""
        changes = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return lr * self.gamma if changes else lr


class MultiStepLR(LRScheduler):
    """Multiply by gamma at milestones: lr(t) = lr(0) * gamma^(the number of milestones <= t).

    Args:
        optimizer: the optimizer.
        milestones: the steps of the changes; one that is given twice counts twice.
        gamma: the factor.
        last_epoch: the number of steps made, -1 before the first.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for epoch in range(4):
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.5]
    [0.5]
    [0.25]
    [0.25]
    """

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
        """Multiply by gamma at a milestone."""
        times = self.milestones[self.last_epoch]
        return lr * math.prod([self.gamma] * times)  # the C library's powers vary


class ConstantLR(LRScheduler):
    """Multiply the first rates by a factor: lr(t) = lr(0) * factor for t < total_iters, then lr(0).

    Args:
        optimizer: the optimizer.
        factor: the factor, above 0 and at most 1.
        total_iters: the number of steps with the factor.
        last_epoch: the number of steps made, -1 before the first.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> for epoch in range(2):
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.5]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        self.factor = number_of("ConstantLR", "factor", factor, Range(above=0, most=1))
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Multiply by the factor at the start, and divide by it at the end."""
        if self.last_epoch == 0:
            return lr * self.factor
        return lr * (1.0 / self.factor) if self.last_epoch == self.total_iters else lr


class LinearLR(LRScheduler):
    """Change the rate linearly over the first steps.

        lr(t) = lr(0) * (start_factor + (end_factor - start_factor) * min(t / total_iters, 1))

    Args:
        optimizer: the optimizer.
        start_factor: the factor of step 0, above 0 and at most 1.
        end_factor: the factor from step ``total_iters`` on, from 0 to 1.
        total_iters: the step at which ``end_factor`` is reached.
        last_epoch: the number of steps made, -1 before the first.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for epoch in range(2):
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.75]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        name, start = type(self).__name__, Range(above=0, most=1)
        self.start_factor = number_of(name, "start_factor", start_factor, start)
        self.end_factor = number_of(name, "end_factor", end_factor, Range(least=0, most=1))
        self.total_iters = integer(name, "total_iters", total_iters, least=1)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Multiply by factor(t) / factor(t - 1)."""
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self.starting or self.last_epoch > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return lr * (1.0 + rise / before)


class ExponentialLR(LRScheduler):
    """Multiply by gamma in every step: lr(t) = lr(0) * gamma^t.

    Args:
        optimizer: the optimizer.
        gamma: the factor.
        last_epoch: the number of steps made, -1 before the first.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for epoch in range(2):
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.5]
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Multiply by gamma."""
        return lr if self.starting else lr * self.gamma


class CosineAnnealingLR(LRScheduler):
    """Lower the rate along half a period of the cosine.

        lr(t) = eta_min + (lr(0) - eta_min) * (1 + cos(pi * t / T_max)) / 2

    There are no restarts: after T_max the rate rises again.

    Args:
        optimizer: the optimizer.
        T_max: the number of steps to the lowest rate.
        eta_min: the lowest rate.
        last_epoch: the number of steps made, -1 before the first.

    Source: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts",
    ICLR 2017.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> for epoch in range(2):
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.5]
    [0.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max = integer("CosineAnnealingLR", "T_max", T_max, least=1)
        self.eta_min = float(eta_min)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Multiply lr - eta_min by the ratio of 1 + cos(pi t / T_max) at t to that at t - 1."""
        if self.starting:
            return lr
        t, period = self.last_epoch, self.T_max
        if (t - 1 - period) % (2 * period) == 0:  # the step before had the lowest rate: 0 / 0
            return lr + (base_lr - self.eta_min) * (1 - cos(math.pi / period)) / 2
        now, before = 1 + cos(math.pi * t / period), 1 + cos(math.pi * (t - 1) / period)
        return now / before * (lr - self.eta_min) + self.eta_min


class SequentialLR(LRScheduler):
    """Apply one schedule after another: ``schedulers[k]`` from step ``milestones[k - 1]`` on.

    Each begins at its own step 0, from the initial rates. PyTorch's ``last_epoch`` does not exist:
    `load_state_dict` resumes.

    Args:
        optimizer: the optimizer of all schedules.
        schedulers: the schedules; none may be a `ReduceLROnPlateau` or a `SequentialLR`.
        milestones: the steps at which the second, third, ... schedule begins.

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
                f"SequentialLR: `milestones` must be {max(len(schedulers) - 1, 0)} steps for "
                f"{len(schedulers)} schedulers, got {len(milestones)}"
            )
        for k, each in enumerate(schedulers):
            if isinstance(each, (ReduceLROnPlateau, SequentialLR)):
                raise ValueError(f"SequentialLR: `schedulers` cannot hold a {type(each).__name__}")
            if not isinstance(each, LRScheduler) or each.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: scheduler {k} is not one of this optimizer")
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.optimizer, self.last_epoch = optimizer, 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first.restart()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """Take a step of the schedule that this step belongs to."""
        self.last_epoch += 1
        current = bisect_right(self._milestones, self.last_epoch)
        if current > 0 and self._milestones[current - 1] == self.last_epoch:
            self._schedulers[current].restart()
        else:
            self._schedulers[current].step()
        self._last_lr = self._schedulers[current].get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return all attributes but the optimizer, and the state dicts of the schedules."""
        return super().state_dict() | {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def _prepare_load(self, state_dict: Mapping[str, Any]) -> Callable[[], object]:
        """Check a state dict and those of the schedules, and return the function that loads it."""
        parts = state_dict.get("_schedulers") if isinstance(state_dict, Mapping) else None
        parts = parts if isinstance(parts, (list, tuple)) else ()
        if len(parts) != len(self._schedulers):
            raise ValueError(
                f"SequentialLR.load_state_dict: it has {len(parts)} schedules, not "
                f"{len(self._schedulers)}"
            )
        loads = [super()._prepare_load(state_dict)]
        loads += [s._prepare_load(part) for s, part in zip(self._schedulers, parts, strict=True)]

        def load() -> None:
            for each in loads:
                each()

        return load
