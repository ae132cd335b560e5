"""tanh, sigmoid and softplus: of e^-|x|, which neither overflows nor loses its digits.

    tanh(|x|) = -e / (2 + e)              e = expm1(-2 |x|)
    sigmoid(x) = 1 / (1 + t), or t / (1 + t) where x < 0         t = exp(-|x|)
    softplus(x) = log(1 + e^x) = max(x, 0) + log(1 + t)

log(1 + t) is computed as in `logarithm`, but for all of 0 <= t <= 1 at once: with a longer
polynomial (relative errors 2^-33.0 in float32, 2^-59.4 in float64), and no split of 1 + t.
"""

from __future__ import annotations

import numpy as np
from numba import types

from .bits import FORMATS, clamp, for_each_format, multiply_add, two_to, with_sign
from .exponential import exp, expm1_of_small, nearest_power
from .logarithm import log1p_tail

LARGE = {types.float32: 10, types.float64: 20}  # tanh rounds to 1 from 9.01 on, or from 19.06 on
COEFFICIENTS = {  # of q up to s = 1/3, lowest first
    types.float32: tuple(map(np.float32, (
        0.666666746, 0.399989486, 0.286152244, 0.214435861, 0.242470652,
    ))),
    types.float64: (
        0.666666666666663, 0.4000000000015968, 0.28571428547555533, 0.22222223988067866,
        0.18181743279460746, 0.1538657373778189, 0.13300790777189467, 0.12107546564664597,
        0.08333650574965358, 0.1703067218142086,
    ),
}  # fmt: skip


@for_each_format
def tanh(x):
    """The hyperbolic tangent."""
    real = FORMATS[x].real
    zero, one, two, large = real(0), real(1), real(2), real(LARGE[x])

    def tanh(x):
        shifted, r = nearest_power(-two * clamp(abs(x), zero, large))
        scale = two_to(shifted)
        e = multiply_add(scale, expm1_of_small(r), scale - one)
        return with_sign(e / (two + e), x)

    return tanh


@for_each_format
def sigmoid(x):
    """The logistic function, 1 / (1 + e^-x)."""
    real = FORMATS[x].real
    zero, one = real(0), real(1)

    def sigmoid(x):
        t = exp(-abs(x))
        return (t if x < zero else one) / (one + t)

    return sigmoid


@for_each_format
def softplus(x):
    """log(1 + e^x)."""
    zero, coefficients = FORMATS[x].real(0), COEFFICIENTS[x]

    def softplus(x):
        t = exp(-abs(x))
        return (x if x > zero else zero) + (t + log1p_tail(t, coefficients))

    return softplus
