"""sinh, cosh and tanh: both forms are computed, and the one for x is selected.

    tanh(x) = x + x^3 p(x^2)                      |x| < 0.55
    tanh(x) = sign(x) (1 - 2 / (e^2|x| + 1))      0.55 <= |x|

The larger the exponential, the fewer of its digits matter. So log(2) / 2 has one part in the
reduction |x| = k log(2) / 2 + u, and e^2u is a polynomial on |u| <= log(2) / 4. The relative errors
of the polynomials are 2^-24.7 and 2^-23.0 in float32, 2^-55.5 and 2^-57.6 in float64. They were
fitted as described in ``exponential.py``.

With h = e^|x| / 2, which does not overflow before the result does, and t = e^|x| - 1,

    cosh(x) = h + 1 / (4 h)
    sinh(x) = sign(x) (t + t / (t + 1)) / 2               |x| < 22
    sinh(x) = sign(x) h                                   22 <= |x|

of which float32 is computed with the same float64 code.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from .bits import (
    FORMATS,
    by_format,
    clamp,
    for_each_format,
    multiply_add,
    polynomial,
    two_to,
    with_sign,
)
from .exponential import expm1, expm1_of_small, nearest_power, times_power

NEAR = 0.55  # the first form is used below
LARGE = {types.float32: 10, types.float64: 20}  # tanh rounds to 1 from 9.01 on, or from 19.06 on
LARGEST, SINH_FAR = 712.0, 22.0  # cosh overflows from 710.5 on; sinh rounds to h from 19.1 on
NEAR_0 = by_format(  # coefficients of p, lowest first
    (-0.333329469, 0.133207247, -0.0526715666, 0.0164368413),
    (-0.3333333333333231, 0.13333333333168212, -0.05396825387582936, 0.021869485968722395,
     -0.008863194421224678, 0.003591719020121059, -0.0014532133640000771, 0.0005791268220812362,
     -0.00021028553913705675, 5.100968046130384e-05),
)  # fmt: skip
SQUARE_OF_EXP = by_format(  # coefficients of e^2u, lowest first
    (1.00000012, 1.99999952, 1.99994934, 1.33338654, 0.670819998, 0.266053706),
    (1.0, 2.0, 2.0000000000000053, 1.33333333333332, 0.6666666666641957, 0.26666666667008365,
     0.08888888926470154, 0.02539682511679602, 0.006349181307674839, 0.0014109431835153698,
     0.00028294560623129053, 5.126581060670746e-05),
)  # fmt: skip


@for_each_format
def tanh(x):
    """Compute the hyperbolic tangent."""
    form = FORMATS[x]
    zero, one, two, limit, large = map(form.real, (0, 1, 2, NEAR, LARGE[x]))
    powers, half_log_2 = form.real(2 / math.log(2)), form.real(math.log(2) / 2)
    shifter, near_0, squared = form.shifter, NEAR_0[x], SQUARE_OF_EXP[x]

    def tanh(x):
        a, z = clamp(abs(x), zero, large), x * x
        shifted = multiply_add(a, powers, shifter)
        u = multiply_add(shifter - shifted, half_log_2, a)
        far = one - two / multiply_add(two_to(shifted), polynomial(u, squared), one)
        near = multiply_add(a * z, polynomial(z, near_0), a)
        return with_sign(near if a < limit else far, x)

    return tanh


@for_each_format
def half_of_exp(a):
    """Compute e^a / 2 of a float64 number from 0 on."""

    def half_of_exp(a):
        shifted, r = nearest_power(clamp(a, 0.0, LARGEST))
        return times_power(expm1_of_small(r), shifted - 1.0)

    return half_of_exp


@for_each_format
def cosh(x):
    """Compute the hyperbolic cosine."""
    real = FORMATS[x].real

    def cosh(x):
        half = half_of_exp(abs(np.float64(x)))
        return real(half + 0.25 / half)

    return cosh


@for_each_format
def sinh(x):
    """Compute the hyperbolic sine."""
    real = FORMATS[x].real

    def sinh(x):
        a = abs(np.float64(x))
        t = expm1(a)
        near = 0.5 * (t + t / (t + 1.0))
        return real(with_sign(near if a < SINH_FAR else half_of_exp(a), np.float64(x)))

    return sinh
