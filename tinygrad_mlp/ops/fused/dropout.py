"""Dropout: a mask drawn by the generator's op, then one elementwise pass that applies it."""

from __future__ import annotations

from typing import Any

from ...kernels.codegen import expression
from ..elementwise.arithmetic import where
from ..elementwise.declare import elementwise
from ..random import dropout_mask
from ..validation import as_floating, probability
from .matmul import linear

_dropout = elementwise(
    "dropout",
    lambda x, mask, scale: expression.where(mask, x * scale, 0),
    public=False,
    masks=["mask"],
    about="``x * scale`` where the mask holds, else 0. With scale = 1/(1 - p) it keeps the mean.",
    x=lambda g, mask, scale: where(mask, g * scale, 0),
)


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Any:
    """Each element is 0 with probability p, else divided by 1 - p: the expectation stays.

    Without ``training``, or at p = 0, the input as it is. The mask follows `manual_seed`.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 15, 2014.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> sorted(set(F.dropout(tg.ones(100), p=0.75).tolist()))
    [0.0, 4.0]
    """
    input, p = as_floating("dropout", "input", input), probability("dropout", "p", p)
    if not training or p == 0:
        return input
    mask = dropout_mask(input.layout.shape, p)
    return _dropout(input, mask, 1 / (1 - p) if p < 1 else 0.0)


def drop_connect(
    input: Any, weight: Any, bias: Any = None, p: float = 0.5, training: bool = True
) -> Any:
    """`linear` with a weight of which each element is dropped with probability p.

        out = x (M * W / (1 - p))^T + b        M_ij = 1 with probability 1 - p, else 0

    One mask M a call, for all rows; the division keeps the expectation of ``out``. Without
    ``training`` it is `linear`.

    Source: L. Wan et al., "Regularization of neural networks using DropConnect", ICML 2013 (there
    with a mask for each row).

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.drop_connect(tg.ones(1, 2), tg.ones(3, 2), p=0.5, training=False)
    tensor([[2., 2., 2.]])
    """
    probability("drop_connect", "p", p)
    return linear(input, dropout(weight, p, training), bias)
