"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..ops.fused.optimizer_update import Update, adam_, adam_amsgrad_, adamw_, adamw_amsgrad_
from .optimizer import Optimizer
from .param_group import DECAY, NONNEGATIVE, Range


class Adam(Optimizer):
    """Steps along the mean of gradients, scaled by the root of the mean of their squares.

        g = dL/dp + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2             amsgrad: the largest v so far stands below
        p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    in step t = 1, 2, ...; ``betas`` are (beta1, beta2).

    D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015; amsgrad:
    S. J. Reddi, S. Kale and S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adam([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([ 0.9, -1.9], requires_grad=True)
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "lr": NONNEGATIVE,
        "betas": DECAY,
        "eps": NONNEGATIVE,
        "weight_decay": NONNEGATIVE,
    }
    updates = (adam_, adam_amsgrad_)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def choose(self, group: Mapping[str, Any]) -> Update:
        """With ``amsgrad`` one more array is kept."""
        plain, amsgrad = self.updates
        return amsgrad if group["amsgrad"] else plain


class AdamW(Adam):
    """`Adam` whose weight decay is no part of the gradient: each step shrinks p by itself.

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2             amsgrad: the largest v so far stands below
        p = p - lr * ((m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * p)

    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.

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
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
