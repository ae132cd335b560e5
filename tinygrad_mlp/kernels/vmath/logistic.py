"""tanh, sigmoid and softplus, none of which overflows or loses its digits.

    tanh(|x|) = e / (2 + e)                       e = expm1(2 |x|)
    sigmoid(x) = 1 / (1 + t), or t / (1 + t) where x < 0         t = exp(-|x|)
    softplus(x) = log(1 + e^x) = max(x, 0) + log(1 + t)

In tanh an error of e cancels where e is large. In sigmoid what rounding 1 + t loses, d, is put
back: t / (1 + t) is q (1 - d / (1 + t)), and the last division may be left out, as d is large
beside the result only where t is small. log(1 + t) is computed as in `logarithm`, but for all of
0 <= t <= 1 at once: with a longer polynomial (relative errors 2^-33.0 in float32, 2^-59.4 in
float64) and without splitting 1 + t.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from .bits import FORMATS, clamp, for_each_format, multiply_add, polynomial, two_to, with_sign
from .exponential import exp, expm1_of_small, nearest_power
from .logarithm import terms

LARGE = {types.float32: 10, types.float64: 20}  # tanh rounds to 1 from 9.01 on, or from 19.06 on
TANH = {  # coefficients of p, lowest first
    types.float32: tuple(map(np.float32, (
        -0.333329469, 0.133207247, -0.0526715666, 0.0164368413,
    ))),
    types.float64: (
        -0.3333333333333231, 0.13333333333168212, -0.05396825387582936, 0.021869485968722395,
        -0.008863194421224678, 0.003591719020121059, -0.0014532133640000771,
        0.0005791268220812362, -0.00021028553913705675, 5.100968046130384e-05,
    ),
}  # fmt: skip
EXP_2 = {
    types.float32: tuple(map(np.float32, (
        1.00000012, 1.99999952, 1.99994934, 1.33338654, 0.670819998, 0.266053706
    ))),
    types.float64: (
        1.0, 2.0, 2.0000000000000053, 1.33333333333332, 0.6666666666641957, 0.26666666667008365, 0.08888888926470154, 0.02539682511679602, 0.006349181307674839, 0.0014109431835153698, 0.00028294560623129053, 5.126581060670746e-05
    ),
}  # fmt: skip
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
    form = FORMATS[x]
    zero, one, two, turn, large = map(form.real, (0, 1, 2, 0.55, LARGE[x]))
    powers, half_log_2 = form.real(2 / math.log(2)), form.real(math.log(2) / 2)
    shifter, near_0, squared = form.shifter, TANH[x], EXP_2[x]

    def tanh(x):
        a, z = clamp(abs(x), zero, large), x * x
        shifted = multiply_add(a, powers, shifter)
        u = multiply_add(shifter - shifted, half_log_2, a)
        far = one - two / multiply_add(two_to(shifted), polynomial(u, squared), one)
        near = multiply_add(a * z, polynomial(z, near_0), a)
        return with_sign(near if a < turn else far, x)

    return tanh


@for_each_format
def sigmoid(x):
    """The logistic function, 1 / (1 + e^-x)."""
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
    """log(1 + e^x)."""
    zero, coefficients = FORMATS[x].real(0), COEFFICIENTS[x]

    def softplus(x):
        t = exp(-abs(x))
        s, w = terms(t, coefficients)
        return (x if x > zero else zero) + multiply_add(s, w, t)

    return softplus
