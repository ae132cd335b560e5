"""Regularisation by leaving out: `Dropout` of activations, `DropConnect` of weights."""

from __future__ import annotations

from typing import Any

from ..ops.validation import probability
from . import functional as F
from .linear import Linear
from .module import Module


class Dropout(Module):
    """In training each element is 0 with probability ``p``, else divided by 1 - p.

    So the expectation stays, and in evaluation nothing is to be done. Each call draws a new mask
    from the generator that `manual_seed` seeds.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 15, 2014.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Dropout(0.5).eval()(tg.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        probability("Dropout", "p", p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Any) -> Any:
        """``input`` with a new mask, in training."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return f"p={self.p}, inplace={self.inplace}"


class DropConnect(Linear):
    """A `Linear` layer whose weights are dropped in training.

        out = x (M * W / (1 - p))^T + b        M_ij = 1 with probability 1 - p, else 0

    Each call draws one mask M of the weight's shape, for all rows of x; the division keeps the
    expectation of ``out``, so that in evaluation it is `Linear`. State dicts are those of `Linear`.

    Source: L. Wan, M. Zeiler, S. Zhang, Y. LeCun and R. Fergus, "Regularization of neural networks
    using DropConnect", ICML 2013 (there each row has a mask of its own, and evaluation draws from
    a normal approximation).

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.DropConnect(4, 2, p=0.5)(tg.ones(3, 4)).shape
    (3, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float = 0.5,
        bias: bool = True,
        dtype: Any = None,
    ):
        probability("DropConnect", "p", p)
        super().__init__(in_features, out_features, bias, dtype)
        self.p = p

    def forward(self, input: Any) -> Any:
        """(..., in_features) to (..., out_features)."""
        self._check(input, self.weight)
        return F.drop_connect(input, self.weight, self.bias, self.p, self.training)

    def extra_repr(self) -> str:
        """The options."""
        return f"{super().extra_repr()}, p={self.p}"
