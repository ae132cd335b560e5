"""`LRScheduler`: the base of all learning-rate schedules, and the checks of their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

from ..optimizer import Optimizer


class LRScheduler:
    """Base of schedules: a subclass defines `next_lr`, or `get_lr`, which returns all rates.

    Making a scheduler takes its step 0. PyTorch's deprecated ``epoch`` of `step` does not exist.

    Args:
        optimizer: sets the initial rates by its groups.
        last_epoch: the number of steps made, -1 before the first. Another number resumes a
            schedule; the optimizer's groups must have an ``initial_lr``.

    Raises:
        TypeError: for an ``optimizer`` that is not an Optimizer.
        KeyError: for a schedule that cannot be resumed.

    >>> import tinygrad_mlp as tg
    >>> class Harmonic(LRScheduler):  # lr_0 / (1 + t)
    ...     def get_lr(self):
    ...         return [lr / (1 + self.last_epoch) for lr in self.base_lrs]
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = Harmonic(optimizer)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer",)  # attributes that are not in a state dict
    starting = False  # whether this is step 0, or the first one of a resumed schedule

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
        """Take step 0, or the first one of a resumed schedule."""
        self.starting = True
        try:
            self.step()
        finally:
            del self.starting

    def restart(self) -> None:
        """Begin again from the initial rates."""
        self.last_epoch = -1
        self.set_lrs(self.base_lrs)
        self.begin()

    def step(self) -> None:
        """Set the rates of the next step."""
        self.last_epoch += 1
        self.set_lrs(self.get_lr())

    def set_lrs(self, rates: Sequence[float]) -> None:
        """Write the rates into the optimizer's groups."""
        groups = self.optimizer.param_groups
        if len(rates) != len(groups):
            raise RuntimeError(
                f"{type(self).__name__}: the optimizer has {len(groups)} groups, this schedule was "
                f"made for {len(rates)}; add groups before making it"
            )
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in groups]

    def get_lr(self) -> list[float]:
        """Return the rates of step ``last_epoch``, given those of the step before."""
        groups = zip(self.optimizer.param_groups, self.base_lrs, strict=False)
        return [self.next_lr(group["lr"], base_lr) for group, base_lr in groups]

    def next_lr(self, lr: float, base_lr: float) -> float:
        """Return the rate of step ``last_epoch``, given that of the step before and the initial."""
        raise NotImplementedError(f"{type(self).__name__} must define next_lr, or get_lr")

    def get_last_lr(self) -> list[float]:
        """Return the rates that the last step set, one for each group."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Return all attributes but the optimizer and functions."""
        return {key: value for key, value in vars(self).items() if key not in self.unsaved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned. The rates are in the optimizer's state: load it too.

        Raises:
            TypeError, ValueError: for the state of another schedule; then nothing was changed.
        """
        self._prepare_load(state_dict)()

    def _prepare_load(self, state_dict: Mapping[str, Any]) -> Callable[[], object]:
        """Check a state dict, and return the function that loads it."""
        function = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"{function}: `state_dict` must be a dict, not {type(state_dict).__name__}"
            )
        own = {key: value for key, value in vars(self).items() if key not in self.unsaved}
        if missing := sorted(set(own) - set(state_dict)):
            raise ValueError(
                f"{function}: no {', '.join(missing)}; is it the state of another schedule?"
            )
        for key, value in own.items():
            if not _same_form(value, state_dict[key]):
                raise ValueError(
                    f"{function}: {key} is {state_dict[key]!r:.60}, here it is {value!r:.60}; "
                    "is it the state of another schedule?"
                )
        return functools.partial(vars(self).update, {key: state_dict[key] for key in own})


def _same_form(own: Any, saved: Any) -> bool:
    """Return whether a saved value has the type of the own one; lists of numbers, its length."""
    if isinstance(own, Real) and not isinstance(own, bool):
        return isinstance(saved, Real) and not isinstance(saved, bool)
    if isinstance(own, (list, tuple)):
        numbers = all(isinstance(each, Real) for each in own)
        return (
            isinstance(saved, (list, tuple))
            and (len(saved) == len(own) or not numbers)
            and all(_same_form(mine, each) for mine, each in zip(own, saved, strict=False))
        )
    return isinstance(saved, Mapping) if isinstance(own, Mapping) else type(saved) is type(own)


def check_optimizer(name: str, optimizer: Any) -> None:
    """Raise TypeError for what is not an `Optimizer`."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: `optimizer` must be an Optimizer, not {type(optimizer).__name__}")


def check_choice(name: str, argument: str, value: Any, choices: tuple[str, str]) -> None:
    """Raise ValueError for a value that is not one of the two choices."""
    if value not in choices:
        first, second = choices
        raise ValueError(f'{name}: `{argument}` must be "{first}" or "{second}", got {value!r}')


def per_group(name: str, argument: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """Return a value for each group: the elements of a list, or the same value for all."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(
            f"{name}: `{argument}` has {len(values)} values for {count} parameter groups"
        )
    return values
