"""The layers and losses as functions: PyTorch's names, signatures and defaults.

>>> import tinygrad_mlp as tg
>>> import tinygrad_mlp.nn.functional as F
>>> F.relu(tg.tensor([-1.0, 2.0]))
tensor([0., 2.])
"""

from __future__ import annotations

import warnings
from typing import Any

from ..autograd.modes import recording
from ..ops.create import arange
from ..ops.elementwise import activation
from ..ops.elementwise.arithmetic import copy_, eq
from ..ops.elementwise.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
)
from ..ops.elementwise.transcendental import sigmoid as _sigmoid
from ..ops.elementwise.transcendental import tanh as _tanh
from ..ops.fused import dropout as _dropout
from ..ops.fused.batch_norm import batch_norm
from ..ops.fused.cross_entropy import cross_entropy, nll_loss
from ..ops.fused.dropout import drop_connect
from ..ops.fused.layer_norm import layer_norm
from ..ops.fused.matmul import linear as _linear
from ..ops.fused.softmax import log_softmax as _log_softmax
from ..ops.fused.softmax import softmax as _softmax
from ..ops.shape.view import unsqueeze
from ..ops.validation import as_tensor

__all__ = [
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "drop_connect",
    "dropout",
    "elu",
    "gelu",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """``input @ weight.T + bias``: input (..., in), weight (out, in), bias (out,) or None.

    Raises ValueError for shapes that do not fit, TypeError for dtypes that differ.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.linear(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0, 4.0]]), tg.tensor([0.5]))
    tensor([[11.5]])
    """
    input = as_tensor("linear", "input", input)
    return _linear(input, as_tensor("linear", "weight", weight), bias)


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Each element is 0 with probability p, else divided by 1 - p: the expectation stays.

    Without ``training`` the input as it is. The mask follows `manual_seed`.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 15, 2014.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> sorted(set(F.dropout(tg.ones(100), p=0.75).tolist()))
    [0.0, 4.0]
    """
    return _into(input, lambda x: _dropout.dropout(x, p, training), inplace)


# --- activations ---


def relu(input: Any, inplace: bool = False) -> Any:
    """max(x, 0). The derivative at 0 is 0."""
    return activation.relu_(input) if inplace else activation.relu(input)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x where it is positive, else ``negative_slope * x``."""
    return _into(input, lambda x: activation.leaky_relu(x, negative_slope), inplace)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where it is positive, else ``alpha * (exp(x) - 1)`` (D.-A. Clevert et al., ICLR 2016)."""
    return _into(input, lambda x: activation.elu(x, alpha), inplace)


def gelu(input: Any, approximate: str = "none") -> Any:
    """x P(X <= x) for a normal X; ``approximate="tanh"`` takes the tanh formula of the same paper.

    Source: D. Hendrycks and K. Gimpel, "Gaussian error linear units", arXiv 1606.08415.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: `approximate` must be "none" or "tanh", not {approximate!r}')
    return activation.gelu(input) if approximate == "none" else activation.gelu_tanh(input)


def silu(input: Any, inplace: bool = False) -> Any:
    """x sigmoid(x), also called swish (S. Elfwing et al., arXiv 1702.03118)."""
    return _into(input, activation.silu, inplace)


def sigmoid(input: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _sigmoid(input)


def tanh(input: Any) -> Any:
    """The hyperbolic tangent."""
    return _tanh(input)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold."""
    return activation.softplus(input, beta, threshold)


def softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """exp(x_i) / sum_j exp(x_j) along ``dim``: positive, and sums to one.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.softmax(tg.tensor([1.0, 1.0]), dim=0)
    tensor([0.5, 0.5])
    """
    input = input if dtype is None else input.to(dtype)
    return _softmax(input, _dim("softmax", input, dim))


def log_softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """x_i - log(sum_j exp(x_j)) along ``dim``: the log of `softmax`, without its underflow."""
    input = input if dtype is None else input.to(dtype)
    return _log_softmax(input, _dim("log_softmax", input, dim))


def _dim(name: str, input: Any, dim: int | None) -> int:
    """``dim``, or which axis PyTorch takes if it is not given."""
    if dim is not None:
        return dim
    implied = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(
        f"{name}: say along which axis; without dim it is dim={implied} here", stacklevel=3
    )
    return implied


def _into(input: Any, function: Any, inplace: bool) -> Any:
    """``function(input)``; in place, of a copy: what its gradient needs must not be overwritten."""
    return copy_(input, function(input.clone())) if inplace else function(input)


# --- labels ---


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """A row for each label, 1 at the label and 0 elsewhere: int64, of shape (*, num_classes).

    ``num_classes`` of -1 is the largest label + 1.

    Raises TypeError for labels that are not int64, ValueError for a label that is no class; in a
    compiled step ``num_classes`` must be given, and a label that is no class makes a row of zeros.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.one_hot(tg.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    labels = as_tensor("one_hot", "tensor", tensor)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: `tensor` must hold int64 labels, not {labels.dtype}: x.long()")
    if labels.numel() == 0 and num_classes < 1:
        raise ValueError("one_hot: `tensor` is empty; say how many classes there are: num_classes")
    if num_classes > 0 and recording() is not None:
        return eq(unsqueeze(labels, -1), arange(num_classes)).long()
    largest = int(labels.max()) if labels.numel() else 0
    num_classes = largest + 1 if num_classes == -1 else num_classes
    if labels.numel() and (largest >= num_classes or int(labels.min()) < 0):
        wrong = largest if largest >= num_classes else int(labels.min())
        raise ValueError(
            f"one_hot: `tensor` holds the label {wrong}; with {num_classes} classes labels are 0 "
            f"to {num_classes - 1}"
        )
    return eq(unsqueeze(labels, -1), arange(num_classes)).long()
