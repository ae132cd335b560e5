"""pow: x^y = exp(y log(x)), with the logarithm to twice the digits of float64.

The absolute error of y log(x) is the relative error of the result, and y log(x) reaches 745: it
needs ten bits more than a float has. With s = f / (2 + f) as in ``logarithm.py``, all in pairs of
floats,

    log(1 + f) = 2 s + s z (2/3 + z q(z))         z = s^2

z q(z) is so much smaller than 2/3 that it needs no second float. The relative error of the
polynomial is 2^-66.3. float32 is computed with the same float64 code.

Special cases, as in C: where x is 0 or infinite, or y is infinite, the result is 0 or infinity; an
odd integer y keeps the sign of x; a negative finite x to a power that is not an integer is NaN;
x^0 = 1^y = 1 for any x and y.

Source: ISO C99, annex F.9.4.4, for the special cases. The coefficients were found as described in
``exponential.py``.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from .bits import FORMATS, clamp, for_each_format, multiply_add, polynomial, split, with_sign
from .exponential import COEFFICIENTS as EXP_COEFFICIENTS
from .exponential import LOG2_E, RANGE, times_power
from .pairs import two_product, two_sum

COEFFICIENTS = (  # of q, lowest first
    0.4000000000000227, 0.2857142857009136, 0.2222222252143638, 0.18181784230643752,
    0.1538676379728368, 0.13256663195087412, 0.13197798383495185,
)  # fmt: skip
TWO_THIRDS = 0.6666666666666666, 3.700743415417188e-17
LOG_2 = 0.6931471805598903, 5.497923018708371e-14  # k times the first is exact
UNIT = 2.0**-52  # the unit of the k that `split` returns


@for_each_format
def log_in_two(x):
    """Compute log(x) of a normal or subnormal float64 x > 0, as a sum of two floats."""
    root, least, up = math.sqrt(0.5), 2.0**-1022, 2.0**53
    (third_high, third_low), (log_2_high, log_2_low) = TWO_THIRDS, LOG_2

    def log_in_two(x):
        subnormal = x < least
        k, m = split(x * up if subnormal else x, root)
        k = k * UNIT - (53.0 if subnormal else 0.0)
        f, below = m - 1.0, m + 1.0
        s = f / below
        rest = multiply_add(-s, below, f) - s * (m - (below - 1.0))
        s_low = rest / below
        z, z_low = two_product(s, s)
        z_low += 2.0 * s * s_low
        small = z * polynomial(z, COEFFICIENTS)
        c = third_high + small
        c_low = small - (c - third_high) + third_low
        w, w_low = two_product(z, c)
        w_low += z * c_low + z_low * c
        u, u_low = two_product(s, w)
        u_low += s * w_low + s_low * w
        high, low = two_sum(2.0 * s, u)
        low += 2.0 * s_low + u_low
        total, lost = two_sum(k * log_2_high, high)
        return total, lost + multiply_add(k, log_2_low, low)

    return log_in_two


@for_each_format
def exp_of_two(high, low):
    """Compute exp(high + low) of float64 numbers of which the first is much larger.

    The rounding error of 1 + r is corrected, so that powers that are floats are exact.
    """
    least, most = map(float, RANGE[types.float64])
    coefficients = EXP_COEFFICIENTS[types.float64]
    shifter = FORMATS[types.float64].shifter
    log_2_high, log_2_low = LOG_2

    def exp_of_two(high, low):
        bounded = clamp(high, least, most)
        shifted = multiply_add(bounded, LOG2_E, shifter)
        k = shifted - shifter
        r, rest = two_sum(multiply_add(k, -log_2_high, bounded), multiply_add(k, -log_2_low, low))
        tail = multiply_add(r * r, polynomial(r, coefficients), multiply_add(rest, r, rest))
        near = 1.0 + r
        whole = near + ((r - (near - 1.0)) + tail)
        return times_power(whole - 1.0, shifted)

    return exp_of_two


@for_each_format
def power_of_positive(x, y):
    """Compute x^y of float64 numbers, x >= 0."""
    infinity = math.inf

    def power_of_positive(x, y):
        high, low = log_in_two(x)
        product, lost = two_product(y, high)
        value = exp_of_two(product, lost + y * low if abs(product) < 800.0 else 0.0)
        extreme = infinity if (x > 1.0) == (y > 0.0) else 0.0
        extreme = 1.0 if x == 1.0 else extreme
        return extreme if (x == 0.0) | (x == infinity) | (abs(y) == infinity) else value

    return power_of_positive


@for_each_format
def pow(x, y):
    """Compute x to the power of y."""
    real, infinity = FORMATS[x].real, math.inf

    def pow(x, y):
        x, y = np.float64(x), np.float64(y)
        value = power_of_positive(abs(x), y)
        half = y * 0.5
        odd = (np.rint(y) == y) & (np.rint(half) != half)
        value = with_sign(value, x) if odd else value
        value = math.nan if (x < 0.0) & (x > -infinity) & (np.rint(y) != y) else value
        value = x + y if (x != x) | (y != y) else value
        return real(1.0 if (y == 0.0) | (x == 1.0) else value)

    return pow
