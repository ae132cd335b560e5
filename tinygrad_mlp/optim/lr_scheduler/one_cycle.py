"""`OneCycleLR`: the learning rate rises and falls once, the momentum falls and rises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ...ops.validation import integer
from ..optimizer import Optimizer
from ..param_group import Range, number_of
from .base import LRScheduler, check_choice, check_optimizer, per_group
from .cosine import cos

Phase = tuple[float, tuple[str, str], tuple[str, str]]


class OneCycleLR(LRScheduler):
    """Raise the rate to ``max_lr``, then lower it far below the first one.

    The first rate is max_lr / div_factor, the last one is the first / final_div_factor. Call `step`
    after every batch. At the part x of a phase from a to b the value is::

        b + (a - b) * (1 + cos(pi * x)) / 2       anneal_strategy "cos"
        a + (b - a) * x                           anneal_strategy "linear"

    Args:
        optimizer: the optimizer.
        max_lr: the highest rate, or a list, one for each group.
        total_steps: the number of steps; or give epochs and steps_per_epoch.
        epochs: the number of epochs.
        steps_per_epoch: the number of batches in one.
        pct_start: the part of the steps in which the rate rises, from 0 to 1.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether the momentum (beta1 of Adam) falls while the rate rises, and rises
            while it falls.
        base_momentum: the lowest momentum, or a list, one for each group.
        max_momentum: the highest momentum, or a list, one for each group.
        div_factor: max_lr over the first rate.
        final_div_factor: the first rate over the last.
        three_phase: whether to fall to the first rate as fast as it rose, and only then to the
            last.
        last_epoch: the number of steps made, -1 before the first.

    Source: L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks
    using large learning rates", arXiv:1708.07120.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, anneal_strategy="linear")
    >>> for batch in range(2):
    ...     # train, then:
    ...     scheduler.step()
    >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
    (1.0, 0.85)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        name = type(self).__name__
        check_optimizer(name, optimizer)
        check_choice(name, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        pct_start = number_of(name, "pct_start", pct_start, Range(least=0, most=1))
        self.total_steps = _total(name, total_steps, epochs, steps_per_epoch)
        self.phases = _phases(self.total_steps, pct_start, three_phase)
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, bool(cycle_momentum)
        values: dict[str, Any] = {"max_lr": max_lr}
        if self.cycle_momentum:
            if not {"momentum", "betas"} & set(optimizer.defaults):
                raise ValueError(
                    f"{name}: {type(optimizer).__name__} has neither momentum nor betas to cycle; "
                    "write cycle_momentum=False"
                )
            values |= {"max_momentum": max_momentum, "base_momentum": base_momentum}
        given = {key: per_group(name, key, optimizer, value) for key, value in values.items()}
        if last_epoch == -1:
            for k, group in enumerate(optimizer.param_groups):
                group.update({key: float(each[k]) for key, each in given.items()})
                group["initial_lr"] = group["max_lr"] / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of step ``last_epoch``; set the momenta."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {self.last_epoch} is after the last of `total_steps`, "
                f"{self.total_steps}, which is the number of batches in all epochs"
            )
        step, start = min(self.last_epoch, self.total_steps - 1), 0.0
        for end, rates, momenta in self.phases:  # noqa: B007  # the phase that the step is in
            if step <= end:
                break
            start = end
        part = (step - start) / (end - start) if end > start else 1.0
        groups = self.optimizer.param_groups[: len(self.base_lrs)]
        if self.cycle_momentum:
            for group in groups:
                momentum = self.anneal(group, momenta, part)
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                else:
                    group["momentum"] = momentum
        return [self.anneal(group, rates, part) for group in groups]

    def anneal(self, group: Mapping[str, Any], ends: tuple[str, str], part: float) -> float:
        """Return the value at a part of the phase between two values of the group."""
        a, b = group[ends[0]], group[ends[1]]
        if self.anneal_strategy == "linear":
            return float((b - a) * part + a)
        return float(b + (a - b) / 2.0 * (cos(math.pi * part) + 1))


def _total(
    name: str, total_steps: int | None, epochs: int | None, steps_per_epoch: int | None
) -> int:
    """Return the number of steps, which is given in one of two ways."""
    if total_steps is not None:
        return integer(name, "total_steps", total_steps, least=1)
    if epochs is None or steps_per_epoch is None:
        raise ValueError(f"{name}: give total_steps, or both epochs and steps_per_epoch")
    epochs = integer(name, "epochs", epochs, least=1)
    return epochs * integer(name, "steps_per_epoch", steps_per_epoch, least=1)


def _phases(total: int, pct_start: float, three_phase: bool) -> list[Phase]:
    """Return each phase: its last step, and the keys of its first and last values."""
    up: Phase = (pct_start * total - 1, ("initial_lr", "max_lr"), ("max_momentum", "base_momentum"))
    if not three_phase:
        return [up, (total - 1, ("max_lr", "min_lr"), ("base_momentum", "max_momentum"))]
    return [
        up,
        (2 * pct_start * total - 2, ("max_lr", "initial_lr"), ("base_momentum", "max_momentum")),
        (total - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")),
    ]
