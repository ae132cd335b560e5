"""Adadelta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..ops.fused.optimizer_update import Update, adadelta_
from .optimizer import Optimizer
from .param_group import FRACTION, NONNEGATIVE, Range


class Adadelta(Optimizer):
    """Steps in units of earlier steps: the learning rate is 1 and seldom tuned.

        g = dL/dp + weight_decay * p
        v = rho * v + (1 - rho) * g^2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d^2
        p = p - lr * d

    M. D. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, 2012, algorithm 1.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adadelta([x], lr=100.0)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.6838, -1.6838], requires_grad=True)
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "lr": NONNEGATIVE,
        "rho": FRACTION,
        "eps": NONNEGATIVE,
        "weight_decay": NONNEGATIVE,
    }
    updates = (adadelta_,)

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize},
        )

    def choose(self, group: Mapping[str, Any]) -> Update:
        """There is one form."""
        return adadelta_
