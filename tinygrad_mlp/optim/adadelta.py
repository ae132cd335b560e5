"""Adadelta."""

from __future__ import annotations

from ..ops.fused.optimizer_update import adadelta_
from .optimizer import Optimizer, ParamsT
from .param_group import Fraction, NonNegative, defaults_of


class Adadelta(Optimizer):
    """Steps in units of earlier steps, so that the learning rate of 1 seldom needs tuning.

        g = dL/dp + weight_decay * p
        v = rho * v + (1 - rho) * g^2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d^2
        p = p - lr * d

    Args:
        params: parameters p, named parameters, or groups, as `Optimizer` takes them.
        lr: the learning rate, 0 or more.
        rho: the factor of the earlier squares, from 0 to 1.
        eps: added to v and u under the roots, 0 or more.
        weight_decay: the factor of p that is added to its gradient, 0 or more.
        maximize: whether to go up the gradient.

    Raises:
        ValueError: for a number out of range.

    Source: M. D. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, 2012,
    algorithm 1.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adadelta([x], lr=100.0)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.6838, -1.6838], requires_grad=True)
    """

    updates = (adadelta_,)

    def __init__(
        self,
        params: ParamsT,
        lr: NonNegative = 1.0,
        rho: Fraction = 0.9,
        eps: NonNegative = 1e-6,
        weight_decay: NonNegative = 0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, defaults_of(locals()))
