"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..ops.fused.optimizer_update import Update, adagrad_
from .optimizer import Optimizer
from .param_group import NONNEGATIVE, Range


class Adagrad(Optimizer):
    """Each element's rate shrinks with the squares of all its gradients.

        g = dL/dp + weight_decay * p
        s = s + g^2                                   initial_accumulator_value at first
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)       in step t = 1, 2, ...

    J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12, 2011.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adagrad([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.9, -1.9], requires_grad=True)
    """

    ranges: ClassVar[Mapping[str, Range]] = dict.fromkeys(
        ("lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value"), NONNEGATIVE
    )
    updates = (adagrad_,)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
        )

    def choose(self, group: Mapping[str, Any]) -> Update:
        """There is one form."""
        return adagrad_

    def initial(self, name: str, parameter: Any, group: Mapping[str, Any]) -> np.ndarray:
        """The sum begins at ``initial_accumulator_value``."""
        return np.full(parameter.shape, group["initial_accumulator_value"], parameter.dtype)
