"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ops.fused.optimizer_update import Update, sgd_, sgd_dampened_, sgd_momentum_
from .optimizer import Optimizer, ParamsT
from .param_group import Finite, NonNegative, defaults_of


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum or without.

        g = dL/dp + weight_decay * p
        b = momentum * b + (1 - dampening) * g        b = g in the first step
        p = p - lr * b                                nesterov: p - lr * (g + momentum * b)

    Without momentum p = p - lr * g, and there is no b.

    Args:
        params: parameters p, named parameters, or groups, as `Optimizer` takes them.
        lr: the learning rate, 0 or more.
        momentum: the factor of the earlier gradients, 0 or more.
        dampening: how much less a gradient counts in b.
        weight_decay: the factor of p that is added to its gradient, 0 or more.
        nesterov: whether to look one step ahead; needs momentum, and no dampening.
        maximize: whether to go up the gradient.

    Raises:
        ValueError: for a number out of range, or nesterov without momentum or with dampening.

    Source: I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization
    and momentum in deep learning", ICML 2013; as in PyTorch, lr is outside of b.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.8, -1.6], requires_grad=True)
    """

    updates = (sgd_, sgd_momentum_, sgd_dampened_)
    counts = False

    def __init__(
        self,
        params: ParamsT,
        lr: NonNegative = 1e-3,
        momentum: NonNegative = 0,
        dampening: Finite = 0,
        weight_decay: NonNegative = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, defaults_of(locals()))

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for nesterov without momentum or with dampening."""
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov=True needs momentum above 0 and dampening=0, got "
                f"momentum={group['momentum']:g}, dampening={group['dampening']:g}"
            )

    def choose(self, group: Mapping[str, Any]) -> Update:
        """Return the update by whether there are momentum and dampening."""
        if group["momentum"] == 0:
            return sgd_
        return sgd_dampened_ if group["dampening"] != 0 else sgd_momentum_

    def steps_before(self, state: Mapping[str, Any]) -> float:
        """Return 1 if there is a buffer: PyTorch's state has no count, nor has that of `sgd_`."""
        return float("momentum_buffer" in state)
