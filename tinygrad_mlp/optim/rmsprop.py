"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..ops.fused.optimizer_update import (
    Update,
    rmsprop_,
    rmsprop_centered_,
    rmsprop_centered_momentum_,
    rmsprop_momentum_,
)
from .optimizer import Optimizer
from .param_group import NONNEGATIVE, Range


class RMSprop(Optimizer):
    """Gradients divided by the root of the running mean of their squares.

        g = dL/dp + weight_decay * p
        v = alpha * v + (1 - alpha) * g^2
        m = alpha * m + (1 - alpha) * g               centered: v - m^2 stands for v below
        b = momentum * b + g / (sqrt(v) + eps)
        p = p - lr * b

    Without momentum p = p - lr * g / (sqrt(v) + eps), and there is no b.

    T. Tieleman and G. Hinton, Lecture 6.5 of "Neural networks for machine learning", Coursera 2012;
    centered: A. Graves, "Generating sequences with recurrent neural networks", arXiv:1308.0850.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.RMSprop([x], lr=0.01)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.9, -1.9], requires_grad=True)
    """

    ranges: ClassVar[Mapping[str, Range]] = dict.fromkeys(
        ("lr", "alpha", "eps", "weight_decay", "momentum"), NONNEGATIVE
    )
    updates = (rmsprop_, rmsprop_momentum_, rmsprop_centered_, rmsprop_centered_momentum_)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def choose(self, group: Mapping[str, Any]) -> Update:
        """What is kept depends on ``momentum`` and ``centered``."""
        if group["centered"]:
            return rmsprop_centered_momentum_ if group["momentum"] > 0 else rmsprop_centered_
        return rmsprop_momentum_ if group["momentum"] > 0 else rmsprop_
