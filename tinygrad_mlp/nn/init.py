"""First values of weights. All write into the tensor they are given and return it.

Draws come from the framework's generator, so `manual_seed` decides them. The fans of a weight
(out, in) are fan_in = in and fan_out = out; further axes multiply both.

Sources: X. Glorot and Y. Bengio, AISTATS 2010 (xavier); K. He et al., "Delving deep into
rectifiers", ICCV 2015 (kaiming); Y. LeCun et al., "Efficient BackProp", 1998 (lecun); A. M. Saxe et
al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR
2014 (orthogonal).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.modes import grad_mode
from ..autograd.values import as_array, forbid_during_capture, from_array
from ..ops.elementwise.arithmetic import copy_
from ..ops.random import rand, randn

GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much to scale weights, so that signals keep their variance through a nonlinearity.

    "linear" and "sigmoid" 1, "tanh" 5/3, "relu" sqrt(2), "selu" 3/4, and "leaky_relu"
    sqrt(2 / (1 + param^2)) with ``param`` its negative slope, 0.01 if not given.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the negative slope is a number, not {slope!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(
            f"calculate_gain: no gain is known for {nonlinearity!r}; known are "
            f"{', '.join([*GAINS, 'leaky_relu'])}"
        )
    return GAINS[nonlinearity]


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0) -> Any:
    """Uniform in [a, b)."""
    with grad_mode(False):
        return copy_(tensor, rand(tensor.shape, dtype=tensor.dtype) * (b - a) + a)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0) -> Any:
    """Normal with ``mean`` and standard deviation ``std``."""
    with grad_mode(False):
        return copy_(tensor, randn(tensor.shape, dtype=tensor.dtype) * std + mean)


def constant_(tensor: Any, val: float) -> Any:
    """Every element ``val``."""
    with grad_mode(False):
        return copy_(tensor, val)


def zeros_(tensor: Any) -> Any:
    """Every element 0."""
    return constant_(tensor, 0)


def ones_(tensor: Any) -> Any:
    """Every element 1."""
    return constant_(tensor, 1)


def xavier_uniform_(tensor: Any, gain: float = 1.0) -> Any:
    """Uniform in [-b, b] with b = gain sqrt(6 / (fan_in + fan_out))."""
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Any, gain: float = 1.0) -> Any:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))))


def kaiming_uniform_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Any:
    """Uniform in [-b, b] with b = gain sqrt(3 / fan); the gain is that of the nonlinearity.

    ``a`` is the negative slope of "leaky_relu"; ``mode`` is "fan_in", which keeps the variance of
    signals, or "fan_out", which keeps that of gradients.
    """
    fan = _fan("kaiming_uniform_", tensor, mode)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / fan) if fan else 0.0
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Any:
    """Normal with standard deviation gain / sqrt(fan); arguments as in `kaiming_uniform_`."""
    fan = _fan("kaiming_normal_", tensor, mode)
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0)


def lecun_uniform_(tensor: Any) -> Any:
    """Uniform in [-b, b] with b = sqrt(3 / fan_in)."""
    bound = math.sqrt(3 / _fans("lecun_uniform_", tensor)[0])
    return uniform_(tensor, -bound, bound)


def lecun_normal_(tensor: Any) -> Any:
    """Normal with standard deviation sqrt(1 / fan_in)."""
    return normal_(tensor, 0.0, math.sqrt(1 / _fans("lecun_normal_", tensor)[0]))


def orthogonal_(tensor: Any, gain: float = 1.0) -> Any:
    """``gain`` times a random matrix with orthonormal rows (or columns, if it has more rows).

    The Q of a normal matrix, with signs such that every orthogonal matrix is equally likely.
    Axes beyond the first count as one.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> w = nn.init.orthogonal_(tg.empty(3, 5, dtype="float64"))
    >>> bool(((w @ w.T - tg.eye(3, dtype="float64")).abs() < 1e-12).all())
    True
    """
    _fans("orthogonal_", tensor)
    rows = tensor.shape[0]
    forbid_during_capture("orthogonal_()")
    drawn = as_array(randn(rows, tensor.numel() // max(rows, 1), dtype="float64"))
    q, r = np.linalg.qr(drawn.T if rows < drawn.shape[1] else drawn)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    found = (q.T if rows < drawn.shape[1] else q).reshape(tensor.shape)
    with grad_mode(False):
        return copy_(tensor, from_array(np.ascontiguousarray(gain * found)))


def _fans(name: str, tensor: Any) -> tuple[int, int]:
    """fan_in and fan_out of a weight."""
    if tensor.ndim < 2:
        raise ValueError(
            f"{name}: `tensor` needs two axes or more, (out, in), not shape {tensor.shape}; for a "
            "bias take zeros_ or uniform_"
        )
    area = math.prod(tensor.shape[2:])
    return tensor.shape[1] * area, tensor.shape[0] * area


def _fan(name: str, tensor: Any, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: `mode` must be "fan_in" or "fan_out", not {mode!r}')
    return _fans(name, tensor)[mode == "fan_out"]
