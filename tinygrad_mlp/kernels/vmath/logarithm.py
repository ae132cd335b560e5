"""log, log1p, log2 and log10.

    log(x) = k log 2 + log(1 + f)        x = 2^k (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2)

With s = f / (2 + f), log(1 + f) = 2 artanh(s) = 2 s + s^3 q(s^2), and 2 s = f - s f: so

    log(1 + f) = f + s (s^2 q(s^2) - f)

whose first term is exact and much larger than the second. q is the polynomial of least relative
error of the logarithm (2^-30.2 in float32, 2^-59.5 in float64), fitted as `exponential` says.

log1p(x) rounds 1 + x to u, and brings what that lost into f: (1 + x) / 2^k - 1 is
(u / 2^k - 1) + (1 + x - u) / 2^k.

Source: K. C. Ng's e_log.c and s_log1p.c in Sun's *fdlibm*, 1993, for s and for splitting log 2.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from .bits import FORMATS, for_each_format, multiply_add, polynomial, split, two_to, with_sign
from .exponential import LOG_2, LOG2_E

COEFFICIENTS = {  # of q, lowest first
    types.float32: tuple(map(np.float32, (0.666667759, 0.399775714, 0.298713505))),
    types.float64: (
        0.6666666666666735, 0.39999999999409863, 0.2857142874349397, 0.22222198455104336,
        0.18183570718690795, 0.15313880266427443, 0.14797721339899889,
    ),
}  # fmt: skip
# log10(2), the first part so short that k times it is exact.
LOG10_2 = {
    types.float32: (np.float32(0.30078125), np.float32(2.4874566e-4)),
    types.float64: (0.30102999566406652, -8.4263550284e-14),
}


@for_each_format
def log1p_tail(f, coefficients):
    """log(1 + f) - f, given the polynomial q for the range of f."""
    two = FORMATS[f].real(2)

    def log1p_tail(f, coefficients):
        s = f / (two + f)
        z = s * s
        return s * multiply_add(z, polynomial(z, coefficients), -f)

    return log1p_tail


@for_each_format
def significand(x):
    """k, f and log(1 + f) - f, of x = 2^k (1 + f) > 0."""
    form = FORMATS[x]
    one, root, coefficients = form.real(1), form.real(math.sqrt(0.5)), COEFFICIENTS[x]
    least, up = form.real(2.0 ** (1 - form.bias)), form.real(2.0 ** (form.fraction + 1))
    zero, down = form.real(0), form.real(form.fraction + 1)

    def significand(x):
        subnormal = x < least
        k, m = split(x * up if subnormal else x, root)
        f = m - one
        return k - (down if subnormal else zero), f, log1p_tail(f, coefficients)

    return significand


@for_each_format
def at_the_ends(value, x, zero):
    """``value`` as a logarithm: NaN below ``zero``, -inf there, and x where that is inf or NaN."""
    real = FORMATS[x].real
    infinity, nan = real(math.inf), real(math.nan)

    def at_the_ends(value, x, zero):
        value = value if x < infinity else x
        value = -infinity if x == zero else value
        return nan if x < zero else value

    return at_the_ends


@for_each_format
def log(x):
    """The natural logarithm."""
    zero = FORMATS[x].real(0)
    high, low = LOG_2[x]

    def log(x):
        k, f, tail = significand(x)
        return at_the_ends(multiply_add(k, high, f + multiply_add(k, low, tail)), x, zero)

    return log


@for_each_format
def log2(x):
    """The logarithm to base 2."""
    real = FORMATS[x].real
    zero, log2_e = real(0), real(LOG2_E)

    def log2(x):
        k, f, tail = significand(x)
        return at_the_ends(multiply_add(f + tail, log2_e, k), x, zero)

    return log2


@for_each_format
def log10(x):
    """The logarithm to base 10."""
    real = FORMATS[x].real
    zero, log10_e = real(0), real(math.log10(math.e))
    high, low = LOG10_2[x]

    def log10(x):
        k, f, tail = significand(x)
        rest = multiply_add(f + tail, log10_e, k * low)
        return at_the_ends(multiply_add(k, high, rest), x, zero)

    return log10


@for_each_format
def log1p(x):
    """log(1 + x), exact also where x is tiny."""
    form = FORMATS[x]
    one, half, root = form.real(1), form.real(0.5), form.real(math.sqrt(0.5))
    shifter, coefficients = form.shifter, COEFFICIENTS[x]
    high, low = LOG_2[x]

    def log1p(x):
        u = one + x
        above = u - one
        lost = (one - (u - above)) + (x - above)
        k, m = split(u, root)
        # Twice 2^-k, halved afterwards: 2^-128 is no normal float32.
        f = (m - one) + lost * two_to(shifter + one - k) * half
        tail = log1p_tail(f, coefficients)
        value = multiply_add(k, high, f + multiply_add(k, low, tail))
        return with_sign(at_the_ends(value, x, -one), x)

    return log1p
