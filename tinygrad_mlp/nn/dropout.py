"""Regularisation by random zeros: `Dropout` of activations, `DropConnect` of weights.

The ops: ``ops/fused/dropout.py``.
"""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ..ops.validation import probability
from . import functional as F
from .linear import Linear
from .module import Module


class Dropout(Module):
    """Set elements to 0 with probability ``p`` in training, and divide the others by 1 - p.

    The division keeps the expected value, so that evaluation returns the input as it is. Each call
    draws a new mask from the generator that `manual_seed` seeds. Any shape, a floating dtype.

    Args:
        p: the probability of 0, from 0 to 1.
        inplace: whether to write the result into the input.

    Raises:
        ValueError: for a ``p`` that is not from 0 to 1.
        TypeError: in a call, for a dtype that is not floating.

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

    def forward(self, input: Tensor) -> Tensor:
        """Return `functional.dropout` of the input."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Return the options."""
        return self._options("p", "inplace")


class DropConnect(Linear):
    """A `Linear` layer whose weights are set to 0 at random in training.

        out = x (M * W / (1 - p))^T + b        M_ij = 1 with probability 1 - p, else 0

    Each call draws one mask M of the weight's shape, for all rows of x. The division keeps the
    expected value of ``out``, so that evaluation is `Linear`. State dicts are those of `Linear`.
    PyTorch has no such layer.

    Args:
        in_features: the number of features of x.
        out_features: the number of features of out.
        p: the probability of 0, from 0 to 1.
        bias: whether there is a b.
        dtype: that of weight and bias; the default dtype if None.

    Raises:
        ValueError: for a ``p`` that is not from 0 to 1, and as `Linear`.

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
        *,
        dtype: Any = None,
    ):
        probability("DropConnect", "p", p)
        super().__init__(in_features, out_features, bias, dtype=dtype)
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        """Return `functional.drop_connect` of the input."""
        self._check(input, self.weight)
        return F.drop_connect(input, self.weight, self.bias, self.p, self.training)

    def extra_repr(self) -> str:
        """Return the sizes and p."""
        return f"{super().extra_repr()}, p={self.p}"
