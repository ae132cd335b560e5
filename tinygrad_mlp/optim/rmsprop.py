"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ops.fused.optimizer_update import (
    Update,
    rmsprop_,
    rmsprop_centered_,
    rmsprop_centered_momentum_,
    rmsprop_momentum_,
)
from .optimizer import Optimizer, ParamsT
from .param_group import NonNegative, defaults_of


class RMSprop(Optimizer):
    """Gradient descent with a rate for each element.

    Each element's step is divided by the root of a running mean of its squared gradients.

        g = dL/dp + weight_decay * p
        v = alpha * v + (1 - alpha) * g^2
        m = alpha * m + (1 - alpha) * g               centered: below, v is v - m^2
        b = momentum * b + g / (sqrt(v) + eps)
        p = p - lr * b

    Without momentum p = p - lr * g / (sqrt(v) + eps), and there is no b.

    Args:
        params: parameters p, named parameters, or groups, as `Optimizer` takes them.
        lr: the learning rate, 0 or more.
        alpha: the factor of the earlier squares, 0 or more.
        eps: added to the root, 0 or more.
        weight_decay: the factor of p that is added to its gradient, 0 or more.
        momentum: the factor of the earlier steps, 0 or more.
        centered: whether to divide by the root of the variance instead.
        maximize: whether to go up the gradient.

    Raises:
        ValueError: for a number out of range.

    Source: T. Tieleman and G. Hinton, Lecture 6.5 of "Neural networks for machine learning",
    Coursera 2012; centered: A. Graves, "Generating sequences with recurrent neural networks",
    arXiv:1308.0850.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.RMSprop([x], lr=0.01)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.9, -1.9], requires_grad=True)
    """

    updates = (rmsprop_, rmsprop_momentum_, rmsprop_centered_, rmsprop_centered_momentum_)

    def __init__(
        self,
        params: ParamsT,
        lr: NonNegative = 1e-2,
        alpha: NonNegative = 0.99,
        eps: NonNegative = 1e-8,
        weight_decay: NonNegative = 0,
        momentum: NonNegative = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, defaults_of(locals()))

    def choose(self, group: Mapping[str, Any]) -> Update:
        """Return the update by ``centered`` and ``momentum``, for which there is state."""
        return self.updates[2 * bool(group["centered"]) + (group["momentum"] > 0)]
