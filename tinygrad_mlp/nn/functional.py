"""Layers, activations and losses as functions, with PyTorch's names, signatures and defaults.

PyTorch's deprecated ``size_average`` and ``reduce`` do not exist, so options after them are
keyword-only; nor do ``_stacklevel``, and ``weight`` of `mse_loss`, `l1_loss` and `huber_loss`.
Activations return a tensor of the shape and the floating dtype of the input x.

>>> import tinygrad_mlp as tg
>>> import tinygrad_mlp.nn.functional as F
>>> F.relu(tg.tensor([-1.0, 2.0]))
tensor([0., 2.])
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from .._tensor import Tensor
from ..ops.create import arange
from ..ops.elementwise import activation, transcendental
from ..ops.elementwise.arithmetic import copy_, eq
from ..ops.elementwise.declare import where
from ..ops.elementwise.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
)
from ..ops.fused import dropout as _dropout
from ..ops.fused import matmul as _matmul
from ..ops.fused import softmax as _softmax
from ..ops.fused.batch_norm import batch_norm
from ..ops.fused.cross_entropy import cross_entropy, nll_loss
from ..ops.fused.dropout import drop_connect
from ..ops.fused.layer_norm import layer_norm
from ..ops.shape.view import reshape, unsqueeze
from ..ops.validation import as_floating, as_tensor, like
from ..ops.value_check import ValueCheck

__all__ = [
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
    "drop_connect", "dropout", "elu", "gelu", "huber_loss", "l1_loss", "layer_norm", "leaky_relu",
    "linear", "log_softmax", "mse_loss", "nll_loss", "one_hot", "prelu", "relu", "sigmoid", "silu",
    "softmax", "softplus", "tanh",
]  # fmt: skip


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``input @ weight.T + bias``.

    Shapes: input (..., in), weight (out, in), bias (out,), result (..., out), of one dtype.

    Raises:
        ValueError: for shapes that do not fit.
        TypeError: for dtypes that differ.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.linear(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0, 4.0]]), tg.tensor([0.5]))
    tensor([[11.5]])
    """
    input = as_tensor("linear", "input", input)
    return _matmul.linear(input, as_tensor("linear", "weight", weight), bias)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set elements to 0 with probability ``p``, and divide the others by 1 - p.

    Any shape, a floating dtype. The division keeps the expected value. Each call draws a new mask
    from the generator that `manual_seed` seeds.

    Args:
        input: the tensor.
        p: the probability of 0, from 0 to 1.
        training: False to return the input as it is.
        inplace: whether to write the result into the input.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 15, 2014.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> sorted(set(F.dropout(tg.ones(100), p=0.75).tolist()))
    [0.0, 4.0]
    """
    return _into(input, lambda x: _dropout.dropout(x, p, training), inplace)


# --- activations ---


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return max(x, 0). The derivative at 0 is 0.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.relu(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return activation.relu_(input) if inplace else activation.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else ``negative_slope * x``.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.leaky_relu(tg.tensor([-1.0, 2.0]))
    tensor([-0.01,  2.  ])
    """
    return _into(input, lambda x: activation.leaky_relu(x, negative_slope), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return x where x > 0, else ``weight * x``; the weight is learned.

    Shapes: input (N, C, ...), weight (C,), or (1,) for one slope for all channels; one dtype.

    Source: K. He et al., "Delving deep into rectifiers", ICCV 2015.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.prelu(tg.tensor([[-1.0, 2.0]]), tg.tensor([0.25]))
    tensor([[-0.25,  2.  ]])
    """
    x = as_floating("prelu", "input", input)
    channels = x.shape[1] if x.ndim > 1 else 1
    slopes = as_tensor("prelu", "weight", weight)
    if slopes.shape not in ((1,), (channels,)):
        raise ValueError(
            f"prelu: `weight` has shape {slopes.shape}; `input` of shape {x.shape} needs (1,) or "
            f"({channels},)"
        )
    slopes = like("prelu", "weight", slopes, "input", x, slopes.shape)
    if slopes.shape != (1,):
        slopes = reshape(slopes, (channels, *(1,) * (x.ndim - 2)))
    out: Tensor = where(x > 0, x, slopes * x)
    return out


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else ``alpha * (exp(x) - 1)``.

    Source: D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network
    learning by exponential linear units", ICLR 2016.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.elu(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.    ])
    """
    return _into(input, lambda x: activation.elu(x, alpha), inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Return x P(X <= x) for a standard normal X.

    With ``approximate="tanh"`` 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    Source: D. Hendrycks and K. Gimpel, "Gaussian error linear units", arXiv 1606.08415.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.gelu(tg.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: `approximate` must be "none" or "tanh", not {approximate!r}')
    return activation.gelu(input) if approximate == "none" else activation.gelu_tanh(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x / (1 + exp(-x)), also called swish.

    Source: S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", arXiv 1702.03118.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.silu(tg.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    return _into(input, activation.silu, inplace)


def sigmoid(input: Tensor) -> Tensor:
    """Return the logistic function, 1 / (1 + exp(-x)).

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.sigmoid(tg.tensor([-1.0, 2.0]))
    tensor([0.2689, 0.8808])
    """
    return transcendental.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.tanh(tg.tensor([-1.0, 2.0]))
    tensor([-0.7616,  0.964 ])
    """
    return transcendental.tanh(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Return log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.softplus(tg.tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """
    return activation.softplus(input, beta, threshold)


def softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """Return exp(x_i) / sum_j exp(x_j) along an axis: positive numbers of sum 1.

    Args:
        input: a floating tensor x.
        dim: the axis; None chooses one with a warning, as in PyTorch.
        dtype: what ``input`` is converted to before.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.softmax(tg.tensor([1.0, 1.0]), dim=0)
    tensor([0.5, 0.5])
    """
    return _softmax.softmax(*_operands("softmax", input, dim, dtype))


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """Return x_i - log(sum_j exp(x_j)) along an axis, the logarithm of `softmax`.

    It does not underflow. Arguments as in `softmax`.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.log_softmax(tg.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    return _softmax.log_softmax(*_operands("log_softmax", input, dim, dtype))


def _operands(name: str, input: Tensor, dim: int | None, dtype: Any) -> tuple[Tensor, int]:
    """Return the input in ``dtype``, and ``dim`` or the axis that PyTorch takes without one."""
    input = as_tensor(name, "input", input)
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warnings.warn(f"{name}: `dim` is not given, and dim={dim} is taken", stacklevel=3)
    return input if dtype is None else input.to(dtype), dim


def _into(input: Tensor, function: Callable[[Tensor], Any], inplace: bool) -> Tensor:
    """Return ``function(input)``; in place, of a copy, as its gradient may need the old values."""
    return copy_(input, function(input.clone())) if inplace else function(input)


# --- labels ---

_check_one_hot = ValueCheck(
    "check_one_hot",
    lambda num_classes: (0, num_classes - 1),
    lambda label, k, num_classes: ValueError(
        f"one_hot: `tensor` holds the label {label}; with {num_classes} classes labels are 0 to "
        f"{num_classes - 1}"
    ),
    params=("num_classes",),
)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return a row for each label, with 1 at the label and 0 elsewhere.

    Args:
        tensor: int64 labels, of any shape (*).
        num_classes: the length of the rows; -1 for the largest label + 1.

    Returns:
        An int64 tensor (*, num_classes).

    Raises:
        TypeError: for labels that are not integers.
        ValueError: for a label out of range. In a compiled step ``num_classes`` must be given.

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
        raise ValueError("one_hot: `tensor` is empty, so `num_classes` must be given")
    if num_classes == -1:
        num_classes = int(labels.max()) + 1
    _check_one_hot(labels, num_classes=num_classes)
    return eq(unsqueeze(labels, -1), arange(num_classes)).long()
