"""sin, cos and tan of any number, however large.

    x = (n + t) pi/2        n a whole number, |t| <= 1/2,  r = t pi/2

n mod 4 decides whether sin(x) and cos(x) are sin(r) or cos(r), and their sign. n + t = x 2/pi,
where multiples of 4 do not matter. So x is split as 2^32j y, with 1 <= y < 2^32 unless j = 0, and y
is multiplied by 2^32j 2/pi less a multiple of 2^54: y is a multiple of 2^-52. (In float32 it is one
of 2^-23, and a multiple of 2^25 is subtracted.) A table over j holds the factor as a sum of float64
numbers: four of full precision for float64, whose worst case cancels 61 bits; three for float32, of
which the first two have so few bits that y times them is exact.

Then sin(r) = r + r^3 p(r^2) and cos(r) = 1 - r^2/2 + r^4 q(r^2), with relative errors 2^-28.0 and
2^-33.1 in float32, 2^-58.0 and 2^-64.2 in float64, fitted as described in ``exponential.py``. tan
is their quotient, computed in float64.

Source: M. Payne and R. Hanek, *Radian reduction for trigonometric functions*, SIGNUM Newsletter 18,
1983; J.-M. Muller, *Elementary Functions*, 3rd ed., chapter 11.
"""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
from numba import types

from .bits import (
    FORMATS,
    by_format,
    exponent,
    for_each_format,
    multiply_add,
    polynomial,
    scaled,
    table,
    word,
)
from .pairs import two_product, two_sum

TWO_OVER_PI = Fraction(int(
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561B7246E3A424DD2E0"
    "06492EEA09D1921CFE1DEB1CB129A73EE88235F52EBB4484E99C7026B45F7E413991D639835339F4"
    "9C845F8BBDF9283B1FF897FFDE05980FEF2F118B5A0A6D1F6D367ECF27CB09B74F463F669E5FEA2D"
    "7527BAC7EBE5F17B3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B6BABF0CFBC209AF4361D",
    16,
), 2**1280)  # fmt: skip
PI_HALVES = 1.5707963267948966, 6.123233995736766e-17
SIN = by_format(  # coefficients of p, lowest first
    (-0.166666552, 0.00833219104, -0.000195186003),
    (-0.16666666666666632, 0.008333333333322477, -0.00019841269829841133, 2.755731369935575e-06,
     -2.5050758805507282e-08, 1.5896814251718046e-10),
)  # fmt: skip
COS = by_format(  # coefficients of q, lowest first
    (0.0416666456, -0.0013887313, 2.44329585e-05),
    (0.0416666666666666, -0.0013888888888874474, 2.4801587289669287e-05, -2.755731439949346e-07,
     2.087572894161396e-09, -1.1359909857691069e-11),
)  # fmt: skip
TINY = 2.0**-27  # below it sin(x) rounds to x
WHOLE = 1.5 * 2.0**52  # adding it rounds a number to an integer, held in the lowest bits


@functools.cache
def factors(rows, modulus, units):
    """Return tables over j of the parts of 2^32j 2/pi less a multiple of ``modulus``.

    A part is a multiple of its unit; where the unit is None, it is the nearest float64.
    """
    parts = [[] for _ in units]
    for j in range(rows):
        rest = TWO_OVER_PI * 2 ** (32 * j)
        rest -= modulus * round(rest / modulus)
        for part, unit in zip(parts, units, strict=True):
            part.append(float(unit * round(rest / unit) if unit else rest))
            rest -= Fraction(part[-1])
    return [table(part) for part in parts]


@for_each_format
def block(x):
    """Return j and, as a float64, y of x = 2^32j y."""

    def block(x):
        j = np.int64(max(exponent(x), 0) >> 5)
        return j, scaled(np.float64(x), -32 * j)

    return block


@for_each_format
def modulo_4(n):
    """Reduce a whole float64 number modulo 4, to between -2 and 2."""
    return lambda n: n - 4.0 * np.rint(n / 4.0)


@for_each_format
def reduced(x):
    """Return n (mod 4, in the lowest bits of an integer) and r (two floats) of x = n pi/2 + r."""
    return _reduced32 if x == types.float32 else _reduced64(x)


def _reduced32(x):
    n, r = reduced_in_float64(x)
    return n, np.float32(r), np.float32(0)


@for_each_format
def reduced_in_float64(x):
    """Return n (mod 4, in the lowest bits of an integer) and r, a float64, of a float32 x."""
    part0, part1, part2 = factors(4, 2**25, (Fraction(1, 2**4), Fraction(1, 2**33), None))
    pi_half = PI_HALVES[0]

    def reduced_in_float64(x):
        j, y = block(x)
        p0, p1 = y * part0(j), y * part1(j)
        n0, n1 = np.rint(p0), np.rint(p1)
        t = (p0 - n0) + (p1 - n1) + y * part2(j)
        n2 = np.rint(t)
        return word(modulo_4(n0) + n1 + n2 + WHOLE), (t - n2) * pi_half

    return reduced_in_float64


def _reduced64(x):
    part0, part1, part2, part3 = factors(32, 2**54, (None,) * 4)
    pi_high, pi_low = PI_HALVES

    def reduced(x):
        j, y = block(x)
        p0, e0 = two_product(y, part0(j))
        p1, e1 = two_product(y, part1(j))
        p2, e2 = two_product(y, part2(j))
        n0, n1, n2 = np.rint(p0), np.rint(e0), np.rint(p1)
        high, lost0 = two_sum(p0 - n0, e0 - n1)
        high, lost1 = two_sum(high, p1 - n2)
        small, lost2 = two_sum(e1, p2)
        high, lost3 = two_sum(high, small)
        n3 = np.rint(high)
        lost, lost4 = two_sum(lost0, lost1)
        lost, lost5 = two_sum(lost, lost3)
        rest = lost4 + lost5 + (lost2 + (e2 + y * part3(j)))
        high, low = two_sum(high - n3, lost)
        n = word(modulo_4(n0) + modulo_4(n1) + modulo_4(n2) + n3 + WHOLE)
        r, r_low = two_product(high, pi_high)
        return n, r, r_low + multiply_add(high, pi_low, (low + rest) * pi_high)

    return reduced


@for_each_format
def sine(n, r, r_low):
    """Compute sin(n pi/2 + r + r_low)."""
    one, half = FORMATS[r].real(1), FORMATS[r].real(0.5)
    of_sin, of_cos = SIN[r], COS[r]

    def sine(n, r, r_low):
        z = r * r
        correction = multiply_add(z, -half * r_low, r_low)
        sin_r = r + multiply_add(z * r, polynomial(z, of_sin), correction)
        cos_r = multiply_add(z, -half, one) + multiply_add(z * z, polynomial(z, of_cos), -r * r_low)
        value = cos_r if n & 1 else sin_r
        return -value if n & 2 else value

    return sine


@for_each_format
def sin(x):
    """Compute the sine of x, in radians."""
    tiny = FORMATS[x].real(TINY)

    def sin(x):
        n, r, r_low = reduced(x)
        value = sine(n, r, r_low)
        return x if abs(x) < tiny else value

    return sin


@for_each_format
def cos(x):
    """Compute the cosine of x, in radians."""

    def cos(x):
        n, r, r_low = reduced(x)
        return sine(n + 1, r, r_low)

    return cos


@for_each_format
def tan(x):
    """Compute the tangent of x, in radians."""
    tiny = FORMATS[x].real(TINY)

    def tan32(x):
        n, r = reduced_in_float64(x)
        value = np.float32(sine(n, r, 0.0) / sine(n + 1, r, 0.0))
        return x if abs(x) < tiny else value

    def tan64(x):
        n, r, r_low = reduced(x)
        value = sine(n, r, r_low) / sine(n + 1, r, r_low)
        return x if abs(x) < tiny else value

    return tan32 if x == types.float32 else tan64
