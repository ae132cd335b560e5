"""Adam and AdamW. Their formulas as code: ``ops/fused/optimizer_update.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ops.fused.optimizer_update import Update, adam_, adam_amsgrad_, adamw_, adamw_amsgrad_
from .optimizer import Optimizer, ParamsT
from .param_group import Decays, NonNegative, defaults_of


class Adam(Optimizer):
    """Step against the mean gradient, divided by the root of the mean squared gradient.

    Both are running means.

        g = dL/dp + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2             amsgrad: below, v is the largest v so far
        p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    in step t = 1, 2, ...

    Args:
        params: parameters p, named parameters, or groups, as `Optimizer` takes them.
        lr: the learning rate, 0 or more.
        betas: beta1 and beta2, from 0 to below 1.
        eps: added to the root, 0 or more.
        weight_decay: the factor of p that is added to its gradient, 0 or more.
        amsgrad: whether to divide by the largest v so far.
        maximize: whether to go up the gradient.

    Raises:
        ValueError: for a number out of range.

    Source: D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015;
    amsgrad: S. J. Reddi, S. Kale and S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adam([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.9, -1.9], requires_grad=True)
    """

    updates = (adam_, adam_amsgrad_)

    def __init__(
        self,
        params: ParamsT,
        lr: NonNegative = 1e-3,
        betas: Decays = (0.9, 0.999),
        eps: NonNegative = 1e-8,
        weight_decay: NonNegative = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, defaults_of(locals()))

    def choose(self, group: Mapping[str, Any]) -> Update:
        """Return the update by ``amsgrad``, for which there is one state more."""
        return self.updates[bool(group["amsgrad"])]


class AdamW(Adam):
    """`Adam` with decoupled weight decay: it shrinks p, and stays out of the means m and v.

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2             amsgrad: below, v is the largest v so far
        p = p - lr * ((m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * p)

    with g = dL/dp. Arguments and errors as in `Adam`, but for the default of ``weight_decay``.

    Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019,
    algorithm 2.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.AdamW([x], lr=0.1, weight_decay=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.85, -1.8 ], requires_grad=True)
    """

    updates = (adamw_, adamw_amsgrad_)

    def __init__(
        self,
        params: ParamsT,
        lr: NonNegative = 1e-3,
        betas: Decays = (0.9, 0.999),
        eps: NonNegative = 1e-8,
        weight_decay: NonNegative = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
