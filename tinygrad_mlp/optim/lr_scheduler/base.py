"""`LRScheduler`: what all learning-rate schedules share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..optimizer import Optimizer


class LRScheduler:
    """What schedules share: a subclass says by `next_lr` how a rate goes on, or defines `get_lr`.

    ``last_epoch`` is the number of steps made, -1 before the first; giving one resumes, and wants
    an optimizer whose groups have an ``initial_lr``. Making a scheduler takes its step 0.
    """

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer",)
    starting = False  # while step 0 is taken

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        check_optimizer(type(self).__name__, optimizer)
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: last_epoch={last_epoch} resumes a schedule, but group "
                    f"{k} has no initial_lr; load the optimizer's state dict first"
                )
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.begin()

    def begin(self) -> None:
        """Take step 0, or the next one of a resumed schedule: most leave the rates as they are."""
        self.starting = True
        try:
            self.step()
        finally:
            del self.starting

    def restart(self) -> None:
        """Begin anew from the initial rates."""
        self.last_epoch = -1
        self.set_lrs(self.base_lrs)
        self.begin()

    def step(self) -> None:
        """Set the next rates."""
        self.last_epoch += 1
        self.set_lrs(self.get_lr())

    def set_lrs(self, rates: Sequence[float]) -> None:
        """Write the rates into the optimizer's groups."""
        if len(rates) != len(self.optimizer.param_groups):
            raise RuntimeError(
                f"{type(self).__name__}: the optimizer has {len(self.optimizer.param_groups)} "
                f"groups, this schedule was made for {len(rates)}; add groups before it is made"
            )
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The rates of step ``last_epoch``, from those of the step before."""
        rates = [group["lr"] for group in self.optimizer.param_groups][: len(self.base_lrs)]
        return [self.next_lr(lr, base) for lr, base in zip(rates, self.base_lrs, strict=True)]

    def next_lr(self, lr: float, base_lr: float) -> float:
        """The rate of step ``last_epoch``, from those of the step before and of the beginning."""
        raise NotImplementedError(f"{type(self).__name__} must define next_lr, or get_lr")

    def get_last_lr(self) -> list[float]:
        """The rates that the last step set, one per group."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """All that the schedule knows, but for the optimizer and for functions."""
        return {key: value for key, value in vars(self).items() if key not in self.unsaved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; load the optimizer's too, it has the rates.

        Raises ValueError for the state of another schedule, and changes nothing then.
        """
        vars(self).update(self.check_state(state_dict))

    def check_state(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        """What of ``state_dict`` is this schedule's; ValueError if something is missing."""
        own = [key for key in vars(self) if key not in self.unsaved]
        if missing := sorted(set(own) - set(state_dict)):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: no {', '.join(missing)}; is it the state "
                "of another schedule?"
            )
        return {key: state_dict[key] for key in own}


def check_optimizer(name: str, optimizer: Any) -> None:
    """Raise TypeError for what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: optimizer must be an Optimizer, not {type(optimizer).__name__}")


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A value for each group: the same, or one each from a list."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} values for {count} parameter groups")
    return values


def check_count(name: str, value: Any, least: int = 1) -> int:
    """A number of steps; ValueError if it is none."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer, {least} or more, got {value!r}")
    return value
