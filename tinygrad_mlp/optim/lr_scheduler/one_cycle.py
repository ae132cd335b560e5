"""The one-cycle schedule: the rate up and down once, momentum down and up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ..optimizer import Optimizer
from .base import LRScheduler, check_count, check_optimizer, per_group

Phase = tuple[float, tuple[str, str], tuple[str, str]]


class OneCycleLR(LRScheduler):
    """The rate rises to ``max_lr``, then falls far below where it began.

    It begins at max_lr / div_factor and ends at 1 / final_div_factor of that. One ``step()``
    follows every batch; there are ``total_steps``, or ``epochs * steps_per_epoch``, and the rise
    takes ``pct_start`` of them. With ``cycle_momentum`` the momentum (beta1 of Adam) goes from
    ``max_momentum`` down to ``base_momentum`` and up again meanwhile. With ``three_phase`` the fall
    takes as long as the rise, back to the initial rate, and goes on from there to the last.
    From a to b, at the part x of a phase::

        b + (a - b) * (1 + cos(pi * x)) / 2       anneal_strategy "cos"
        a + (b - a) * x                           anneal_strategy "linear"

    ``max_lr`` and the momenta are numbers or lists, one a group. L. N. Smith and N. Topin,
    "Super-convergence", arXiv:1708.07120.

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
        check_optimizer("OneCycleLR", optimizer)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be from 0 to 1, got {pct_start:g}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f'OneCycleLR: anneal_strategy must be "cos" or "linear", got {anneal_strategy!r}'
            )
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        self.phases = _phases(self.total_steps, pct_start, three_phase)
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, bool(cycle_momentum)
        values: dict[str, Any] = {"max_lr": max_lr}
        if self.cycle_momentum:
            if not {"momentum", "betas"} & set(optimizer.defaults):
                raise ValueError(
                    f"OneCycleLR: {type(optimizer).__name__} has neither momentum nor betas to "
                    "cycle; write cycle_momentum=False"
                )
            values |= {"max_momentum": max_momentum, "base_momentum": base_momentum}
        given = {k: per_group(f"OneCycleLR: {k}", optimizer, v) for k, v in values.items()}
        if last_epoch == -1:
            for k, group in enumerate(optimizer.param_groups):
                group.update({key: float(each[k]) for key, each in given.items()})
                group["initial_lr"] = group["max_lr"] / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates of step ``last_epoch``; sets the momenta as well."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {self.last_epoch} of {self.total_steps}: the schedule is over. "
                "total_steps is the number of batches in all epochs"
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
        """What lies at ``part`` of the way between two values of the group."""
        a, b = group[ends[0]], group[ends[1]]
        if self.anneal_strategy == "linear":
            return float((b - a) * part + a)
        return float(b + (a - b) / 2.0 * (math.cos(math.pi * part) + 1))


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """How many steps there are, said in one of two ways."""
    if total_steps is not None:
        return check_count("OneCycleLR: total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
    epochs = check_count("OneCycleLR: epochs", epochs)
    return epochs * check_count("OneCycleLR: steps_per_epoch", steps_per_epoch)


def _phases(total: int, pct_start: float, three_phase: bool) -> list[Phase]:
    """The step that ends each phase, and between which of a group's values lr and momentum go."""
    up: Phase = (pct_start * total - 1, ("initial_lr", "max_lr"), ("max_momentum", "base_momentum"))
    if not three_phase:
        return [up, (total - 1, ("max_lr", "min_lr"), ("base_momentum", "max_momentum"))]
    return [
        up,
        (2 * pct_start * total - 2, ("max_lr", "initial_lr"), ("base_momentum", "max_momentum")),
        (total - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")),
    ]
