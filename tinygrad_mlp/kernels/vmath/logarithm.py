"""log, log1p, log2 and log10.

    log(x) = k log 2 + log(1 + f)        x = 2^k (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2)

With s = f / (2 + f), log(1 + f) = 2 artanh(s) = 2 s + s^3 q(s^2), and 2 s = f - s f: so

    log(1 + f) = f + s (s^2 q(s^2) - f)

The first term is exact and much larger than the second. q is the polynomial of least relative
error of the logarithm (2^-30.2 in float32, 2^-59.5 in float64), fitted as described in
``exponential.py``.

log1p(x) rounds 1 + x to u, and adds the rounding error to f: (1 + x) / 2^k - 1 is
(u / 2^k - 1) + (1 + x - u) / 2^k.

Source: K. C. Ng's e_log.c and s_log1p.c in Sun's *fdlibm*, 1993.
"""

from __future__ import annotations

import math
from fractions import Fraction

from .bits import (
    FORMATS,
    by_format,
    for_each_format,
    multiply_add,
    polynomial,
    split,
    two_to,
    with_sign,
)

COEFFICIENTS = by_format(  # of q, lowest first
    (0.666667759, 0.399775714, 0.298713505),
    (0.6666666666666735, 0.39999999999409863, 0.2857142874349397, 0.22222198455104336,
     0.18183570718690795, 0.15313880266427443, 0.14797721339899889),
)  # fmt: skip
LOG2_E = Fraction(1442695040888963407359924681002, 10**30)
LOG10_2 = Fraction(301029995663981195213738894724, 10**30)
LOG10_E = Fraction(434294481903251827651128918917, 10**30)


@for_each_format
def terms(f, coefficients):
    """Return s and w of log(1 + f) = f + s w, given the coefficients of q for the range of f."""
    two = FORMATS[f].real(2)

    def terms(f, coefficients):
        s = f / (two + f)
        z = s * s
        return s, multiply_add(z, polynomial(z, coefficients), -f)

    return terms


@for_each_format
def parts(x):
    """Return k (in units of 2^-fraction), f, s and w of x = 2^k (1 + f) > 0."""
    form = FORMATS[x]
    one, root, coefficients = form.real(1), form.real(math.sqrt(0.5)), COEFFICIENTS[x]
    least, up = form.real(2.0 ** (1 - form.bias)), form.real(2.0 ** (form.fraction + 1))
    zero, down = form.real(0), form.real((form.fraction + 1) * 2.0**form.fraction)

    def parts(x):
        subnormal = x < least
        k, m = split(x * up if subnormal else x, root)
        f = m - one
        s, w = terms(f, coefficients)
        return k - (down if subnormal else zero), f, s, w

    return parts


@for_each_format
def handle_special(value, x):
    """Return ``value``, but the special values of log(x): -inf at 0, inf at inf, else NaN."""
    zero, one, infinity, nan = map(FORMATS[x].real, (0, 1, math.inf, math.nan))

    def handle_special(value, x):
        value = with_sign(infinity, x - one) if x + x == x else value
        return value if x >= zero else nan

    return handle_special


def _unit(form, value):
    """Return a factor for k, which is in units of 2^-fraction."""
    return form.real(value * 2.0**-form.fraction)


def _in_two(form, value):
    """Split an exact value into a sum of two numbers of this format."""
    high = form.real(value)
    return high, form.real(value - Fraction(float(high)))


@for_each_format
def log(x):
    """Compute the natural logarithm."""
    log_2 = _unit(FORMATS[x], math.log(2))

    def log(x):
        k, f, s, w = parts(x)
        return handle_special(multiply_add(k, log_2, multiply_add(s, w, f)), x)

    return log


@for_each_format
def log2(x):
    """Compute the logarithm to base 2."""
    unit, (high, low) = _unit(FORMATS[x], 1), _in_two(FORMATS[x], LOG2_E)

    def log2(x):
        k, f, s, w = parts(x)
        rest = multiply_add(f, low, s * w * high)
        return handle_special(multiply_add(k, unit, multiply_add(f, high, rest)), x)

    return log2


@for_each_format
def log10(x):
    """Compute the logarithm to base 10."""
    form = FORMATS[x]
    (of_k, of_k_low), (of_f, of_f_low) = _in_two(form, LOG10_2), _in_two(form, LOG10_E)
    unit = _unit(form, 1)

    def log10(x):
        k, f, s, w = parts(x)
        k *= unit
        rest = multiply_add(k, of_k_low, multiply_add(f, of_f_low, s * w * of_f))
        return handle_special(multiply_add(k, of_k, multiply_add(f, of_f, rest)), x)

    return log10


@for_each_format
def log1p(x):
    """Compute log(1 + x), accurate also where x is tiny."""
    form = FORMATS[x]
    one, half, root = form.real(1), form.real(0.5), form.real(math.sqrt(0.5))
    log_2, unit = _unit(form, math.log(2)), _unit(form, 1)
    shifter, coefficients = form.shifter + one, COEFFICIENTS[x]

    def log1p(x):
        u = one + x
        above = u - one
        lost = (one - (u - above)) + (x - above)
        k, m = split(u, root)
        # Twice 2^-k, halved afterwards: 2^-128 is no normal float32.
        f = multiply_add(lost * two_to(multiply_add(k, -unit, shifter)), half, m - one)
        s, w = terms(f, coefficients)
        value = multiply_add(k, log_2, multiply_add(s, w, f))
        return with_sign(handle_special(value, u), x)

    return log1p
