"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..ops.fused.optimizer_update import Update, sgd_, sgd_dampened_, sgd_momentum_
from .optimizer import Optimizer
from .param_group import FINITE, NONNEGATIVE, Range


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum or without.

        g = dL/dp + weight_decay * p
        b = momentum * b + (1 - dampening) * g        b = g the first time
        p = p - lr * b                                nesterov: p - lr * (g + momentum * b)

    Without momentum p = p - lr * g, and there is no b. ``maximize`` goes up instead of down.

    Nesterov's momentum in the form of I. Sutskever et al., "On the importance of initialization and
    momentum in deep learning", ICML 2013, and as in PyTorch, where lr is outside of b.

    Raises ValueError for nesterov without momentum or with dampening.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.8, -1.6], requires_grad=True)
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "lr": NONNEGATIVE,
        "momentum": NONNEGATIVE,
        "dampening": FINITE,
        "weight_decay": NONNEGATIVE,
    }
    updates = (sgd_, sgd_momentum_, sgd_dampened_)
    counts = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, group: Mapping[str, Any]) -> None:
        """Nesterov's form needs a momentum, and no dampening."""
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov=True needs momentum above 0 and dampening=0, got "
                f"momentum={group['momentum']:g}, dampening={group['dampening']:g}"
            )

    def choose(self, group: Mapping[str, Any]) -> Update:
        """Without momentum there is nothing to keep."""
        if group["momentum"] == 0:
            return sgd_
        return sgd_dampened_ if group["dampening"] != 0 else sgd_momentum_

    def steps_before(self, state: Mapping[str, Any]) -> float:
        """State with a buffer but no `step` is PyTorch's, or was not dampened so far."""
        return float("momentum_buffer" in state)
