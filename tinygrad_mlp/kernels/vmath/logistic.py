"""sigmoid and softplus as functions of e^-|x|, which neither overflow nor lose digits.

    sigmoid(x) = 1 / (1 + t), or t / (1 + t) where x < 0          t = exp(-|x|)
    softplus(x) = log(1 + e^x) = max(x, 0) + log(1 + t)

The rounding error d of 1 + t is corrected: with the quotient q by the rounded sum, t / (1 + t) is
q (1 - d / (1 + t)). The last division is left out, as d matters only where t is small. log(1 + t)
is computed as in ``logarithm.py``, but without splitting 1 + t: one longer polynomial covers all of
0 <= t <= 1 (relative errors 2^-33.0 in float32, 2^-59.4 in float64).
"""

from __future__ import annotations

from .bits import FORMATS, by_format, for_each_format, multiply_add
from .exponential import exp
from .logarithm import terms

COEFFICIENTS = by_format(  # of q up to s = 1/3, lowest first
    (0.666666746, 0.399989486, 0.286152244, 0.214435861, 0.242470652),
    (0.666666666666663, 0.4000000000015968, 0.28571428547555533, 0.22222223988067866,
     0.18181743279460746, 0.1538657373778189, 0.13300790777189467, 0.12107546564664597,
     0.08333650574965358, 0.1703067218142086),
)  # fmt: skip


@for_each_format
def sigmoid(x):
    """Compute the logistic function, 1 / (1 + e^-x)."""
    real = FORMATS[x].real
    zero, one = real(0), real(1)

    def sigmoid(x):
        t = exp(-abs(x))
        below = one + t
        value = (t if x < zero else one) / below
        lost = t - (below - one)
        return multiply_add(-value, lost, value)

    return sigmoid


@for_each_format
def softplus(x):
    """Compute log(1 + e^x)."""
    zero, coefficients = FORMATS[x].real(0), COEFFICIENTS[x]

    def softplus(x):
        t = exp(-abs(x))
        s, w = terms(t, coefficients)
        return (x if x > zero else zero) + multiply_add(s, w, t)

    return softplus
