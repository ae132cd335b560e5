"""Initial values of weights. Each function writes into the tensor that it is given and returns it.

The numbers come from the framework's generator, which `manual_seed` seeds; PyTorch's ``generator``
does not exist. The fans of a weight (out, in) are fan_in = in and fan_out = out; further axes
multiply both. Any shape and floating dtype, but two axes or more where there are fans.

Sources: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
networks", AISTATS 2010 (xavier); K. He et al., "Delving deep into rectifiers", ICCV 2015 (kaiming);
Y. LeCun et al., "Efficient BackProp", 1998 (lecun); A. M. Saxe et al., "Exact solutions to the
nonlinear dynamics of learning in deep linear neural networks", ICLR 2014 (orthogonal).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from .._tensor import Tensor
from ..autograd.modes import grad_mode
from ..autograd.values import as_array, forbid_during_capture, from_array
from ..kernels.gemm import product
from ..ops.elementwise.arithmetic import copy_
from ..ops.random import rand, randn

Fan = Literal["fan_in", "fan_out"]
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor for weights that keeps the variance of signals through a nonlinearity.

    "linear" and "sigmoid" 1, "tanh" 5/3, "relu" sqrt(2), "selu" 3/4, and "leaky_relu"
    sqrt(2 / (1 + param^2)), where ``param`` is its negative slope, by default 0.01.

    >>> from tinygrad_mlp import nn
    >>> nn.init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: `param` must be a negative slope, not {slope!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(
            f"calculate_gain: `nonlinearity` must be one of {', '.join([*GAINS, 'leaky_relu'])}, "
            f"not {nonlinearity!r}"
        )
    return GAINS[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Draw from the uniform distribution on [a, b).

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> w = nn.init.uniform_(tg.empty(4, 2), -1.0, 1.0)
    >>> bool((w.abs() <= 1).all())
    True
    """
    return _write(tensor, rand(tensor.shape, dtype=tensor.dtype) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Draw from the normal distribution with ``mean`` and standard deviation ``std``.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.init.normal_(tg.empty(4, 2)).shape
    (4, 2)
    """
    return _write(tensor, randn(tensor.shape, dtype=tensor.dtype) * std + mean)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to ``val``.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.init.constant_(tg.empty(2), 0.5)
    tensor([0.5, 0.5])
    """
    return _write(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.init.zeros_(tg.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.init.ones_(tg.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Draw uniformly from [-b, b] with b = gain sqrt(6 / (fan_in + fan_out)).

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> w = nn.init.xavier_uniform_(tg.empty(4, 2))
    >>> bool((w.abs() <= 1).all())
    True
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Draw normally with standard deviation gain sqrt(2 / (fan_in + fan_out)).

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.init.xavier_normal_(tg.empty(4, 2)).shape
    (4, 2)
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: Fan = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Draw uniformly from [-b, b] with b = gain sqrt(3 / fan).

    Args:
        tensor: the weight.
        a: the negative slope of "leaky_relu".
        mode: "fan_in" keeps the variance of signals, "fan_out" that of gradients.
        nonlinearity: the activation after the layer, a name that `calculate_gain` accepts.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> w = nn.init.kaiming_uniform_(tg.empty(4, 2))
    >>> bool((w.abs() <= 3**0.5).all())
    True
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: Fan = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Draw normally with standard deviation gain / sqrt(fan), as `kaiming_uniform_` has them.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.init.kaiming_normal_(tg.empty(4, 2)).shape
    (4, 2)
    """
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def lecun_uniform_(tensor: Tensor) -> Tensor:
    """Draw uniformly from [-b, b] with b = sqrt(3 / fan_in). PyTorch has no such function.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> w = nn.init.lecun_uniform_(tg.empty(4, 2))
    >>> bool((w.abs() <= 1.5**0.5).all())
    True
    """
    bound = math.sqrt(3 / _fans("lecun_uniform_", tensor)[0])
    return uniform_(tensor, -bound, bound)


def lecun_normal_(tensor: Tensor) -> Tensor:
    """Draw normally with standard deviation sqrt(1 / fan_in). PyTorch has no such function.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.init.lecun_normal_(tg.empty(4, 2)).shape
    (4, 2)
    """
    return normal_(tensor, 0.0, math.sqrt(1 / _fans("lecun_normal_", tensor)[0]))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Set to ``gain`` times a random matrix with orthonormal rows, or columns if it has more rows.

    The matrix is the Q of a normal matrix's QR decomposition, with signs such that every orthogonal
    matrix is equally likely. Axes beyond the first count as one.

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
    q = np.array(drawn.T if rows < drawn.shape[1] else drawn, order="F")
    _orthonormalise(q)
    _orthonormalise(q)  # rounding errors have left small angles
    matrix = gain * (q.T if rows < drawn.shape[1] else q)
    return _write(tensor, from_array(np.ascontiguousarray(matrix.reshape(tensor.shape))))


def _orthonormalise(a: Any) -> None:
    """Replace A = Q R, float64 (M, N) with M >= N, by Q, where R has a positive diagonal.

    The columns are orthogonalised half by half (Gram-Schmidt), so that most of the work is matrix
    products. LAPACK's result would depend on the processor.
    """
    columns = a.shape[1]
    if columns > 1:
        left, right = a[:, : columns // 2], a[:, columns // 2 :]
        _orthonormalise(left)
        right -= product(left, product(left.T, right))
        _orthonormalise(right)
    elif columns:
        a /= np.sqrt(product(a.T, a))


def _write(tensor: Tensor, values: Any) -> Tensor:
    with grad_mode(False):
        return copy_(tensor, values)


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """Return fan_in and fan_out of a weight."""
    if tensor.ndim < 2:
        raise ValueError(
            f"{name}: `tensor` needs two axes or more, (out, in), not shape {tensor.shape}; for a "
            "bias take zeros_ or uniform_"
        )
    area = math.prod(tensor.shape[2:])
    return tensor.shape[1] * area, tensor.shape[0] * area


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: Fan, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: `mode` must be "fan_in" or "fan_out", not {mode!r}')
    fan = _fans(name, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0
