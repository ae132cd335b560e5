"""exp, exp2 and expm1.

    exp(x) = 2^k exp(r)        k = round(x / log 2),  r = x - k log 2,  |r| <= log(2) / 2

log 2 is subtracted in two parts. The first has so few bits that k times it is exact. exp(r) - 1 is
r + r^2 q(r), where q is the polynomial of least relative error (2^-26.1 in float32, 2^-55.2 in
float64). 2^k is multiplied as two factors, neither of which overflows or is subnormal even where
their product does or is: so a subnormal result is rounded once. 2^x is the same with
r = (x - k) log 2.

    expm1(x) = 2^k (exp(r) - 1) + (2^k - 1)

is computed for half of 2^k and doubled: 2^128 is no float32, but k is 128 just below the largest
result.

Source: J.-M. Muller, *Elementary Functions*, 3rd ed., section 11.2. The coefficients were found by
weighted least squares at Chebyshev nodes; C. Lawson's iteration adjusts the weights towards the
equal ripple of the minimax polynomial. Each coefficient in turn is rounded to the format, and the
later ones are fitted again.
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

LOG2_E = 1 / math.log(2)
# log 2 in two parts: of the first, the last 15 bits are 0 in float32, 21 in float64.
LOG_2 = {
    types.float32: (np.float32(0.693359375), np.float32(-2.12194440e-4)),
    types.float64: (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
COEFFICIENTS = by_format(  # of q, lowest first
    (0.5, 0.166665465, 0.0416667759, 0.00836625136, 0.00139054458),
    (0.5, 0.16666666666666602, 0.041666666666619945, 0.008333333333388376, 0.0013888888920521177,
     0.00019841269709358346, 2.4801516335162355e-05, 2.7557425060917205e-06,
     2.7622231235164927e-07, 2.5045906369501776e-08),
)  # fmt: skip
# Outside of these ranges the rounded results are the functions' limits.
RANGE = {types.float32: (-104, 89), types.float64: (-746, 710)}
EXP2_RANGE = {types.float32: (-151, 129), types.float64: (-1076, 1025)}
EXPM1_LEAST = {types.float32: -20, types.float64: -40}


@for_each_format
def nearest_power(x):
    """Return k + SHIFTER and r of x = k log(2) + r."""
    form = FORMATS[x]
    log2_e, shifter = form.real(LOG2_E), form.shifter
    high, low = LOG_2[x]

    def nearest_power(x):
        shifted = multiply_add(x, log2_e, shifter)
        k = shifted - shifter
        return shifted, multiply_add(k, -low, multiply_add(k, -high, x))

    return nearest_power


@for_each_format
def expm1_of_small(r):
    """Compute exp(r) - 1 for |r| <= log(2) / 2."""
    coefficients = COEFFICIENTS[r]
    return lambda r: multiply_add(r * r, polynomial(r, coefficients), r)


@for_each_format
def times_power(p, shifted):
    """Compute (1 + p) 2^k, rounded once; ``shifted`` is k + SHIFTER, 2^k may be out of range."""
    half, shifter = FORMATS[p].real(0.5), FORMATS[p].shifter

    def times_power(p, shifted):
        first = multiply_add(shifted - shifter, half, shifter)
        second = shifted - first + shifter
        scale = two_to(first)
        return multiply_add(p, scale, scale) * two_to(second)

    return times_power


@for_each_format
def exp(x):
    """Compute e^x."""
    least, most = map(FORMATS[x].real, RANGE[x])

    def exp(x):
        shifted, r = nearest_power(clamp(x, least, most))
        return times_power(expm1_of_small(r), shifted)

    return exp


@for_each_format
def exp2(x):
    """Compute 2^x."""
    form = FORMATS[x]
    shifter, log_2 = form.shifter, form.real(math.log(2))
    least, most = map(form.real, EXP2_RANGE[x])

    def exp2(x):
        bounded = clamp(x, least, most)
        shifted = bounded + shifter
        r = (bounded - (shifted - shifter)) * log_2
        return times_power(expm1_of_small(r), shifted)

    return exp2


@for_each_format
def expm1(x):
    """Compute e^x - 1, accurate also where x is tiny."""
    form = FORMATS[x]
    one, two, half = form.real(1), form.real(2), form.real(0.5)
    least, most = form.real(EXPM1_LEAST[x]), form.real(RANGE[x][1])

    def expm1(x):
        shifted, r = nearest_power(clamp(x, least, most))
        scale = two_to(shifted - one)  # half of 2^k
        return with_sign(two * multiply_add(scale, expm1_of_small(r), scale - half), x)

    return expm1
