"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ops.fused.optimizer_update import adagrad_
from .optimizer import Optimizer, ParamsT
from .param_group import NonNegative, defaults_of


class Adagrad(Optimizer):
    """Gradient descent with a rate for each element.

    Each element's step is divided by the root of the sum of its squared gradients.

        g = dL/dp + weight_decay * p
        s = s + g^2                                   s = initial_accumulator_value at first
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)       in step t = 1, 2, ...

    Args:
        params: parameters p, named parameters, or groups, as `Optimizer` takes them.
        lr: the learning rate, 0 or more.
        lr_decay: how fast the learning rate falls, 0 or more.
        weight_decay: the factor of p that is added to its gradient, 0 or more.
        initial_accumulator_value: s before the first step, 0 or more.
        eps: added to the root, 0 or more.
        maximize: whether to go up the gradient.

    Raises:
        ValueError: for a number out of range.

    Source: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and
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

    updates = (adagrad_,)

    def __init__(
        self,
        params: ParamsT,
        lr: NonNegative = 1e-2,
        lr_decay: NonNegative = 0,
        weight_decay: NonNegative = 0,
        initial_accumulator_value: NonNegative = 0,
        eps: NonNegative = 1e-10,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, defaults_of(locals()))

    def initial(self, name: str, parameter: Any, group: Mapping[str, Any]) -> np.ndarray:
        """Return the sum before the first step."""
        return np.full(parameter.shape, group["initial_accumulator_value"], parameter.dtype)
