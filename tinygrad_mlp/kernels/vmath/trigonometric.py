"""sin and cos of any number, however large.

    x = (n + t) pi/2        n a whole number, |t| <= 1/2,  r = t pi/2

sin(x) and cos(x) are sin(r) or cos(r), with a sign, as n mod 4 says. n + t = x 2/pi, of which whole
multiples of 4 do not matter. So x = 2^32j y, with 2^32 > y >= 1 unless j = 0, and what y is
multiplied by is 2^32j 2/pi without its multiples of 2^54, for y is a multiple of 2^-52: four
floats for each of the 32 values of j, 212 bits, of which those survive that x cancels least
(61 bits, J.-M. Muller). The products and their sum are kept with all that rounding them lost.

Then sin(r) = r + r^3 p(r^2) and cos(r) = 1 - r^2/2 + r^4 q(r^2), with relative errors 2^-58.0 and
2^-64.2, fitted as `exponential` says. float32 is computed in float64.

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
SIN = (
    -0.16666666666666632, 0.008333333333322477, -0.00019841269829841133, 2.755731369935575e-06,
    -2.5050758805507282e-08, 1.5896814251718046e-10,
)  # fmt: skip
COS = (
    0.0416666666666666, -0.0013888888888874474, 2.4801587289669287e-05, -2.755731439949346e-07,
    2.087572894161396e-09, -1.1359909857691069e-11,
)  # fmt: skip
TINY = 2.0**-27  # below it sin(x) rounds to x
WHOLE = 1.5 * 2.0**52  # what is added to it is rounded to an integer, found in its lowest bits


@functools.cache
def factors(rows):
    """2^32j 2/pi, less a multiple of 2^54, as the sum of four floats: a table over j for each."""
    parts = [[], [], [], []]
    for j in range(rows):
        rest = TWO_OVER_PI * 2 ** (32 * j)
        rest -= 2**54 * round(rest / 2**54)
        for part in parts:
            part.append(float(rest))
            rest -= Fraction(part[-1])
    return [table(part) for part in parts]


@for_each_format
def turns(x):
    """n mod 4 as the lowest bits of an integer, and t in two floats, of x = (n + t) pi/2."""
    part0, part1, part2, part3 = factors(4 if x == types.float32 else 32)

    def turns(x):
        j = np.int64(max(exponent(x), 0) >> 5)
        y = scaled(np.float64(x), -32 * j)
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
        n = word((n0 - 4.0 * np.rint(n0 / 4.0)) + (n1 - 4.0 * np.rint(n1 / 4.0))
                 + (n2 - 4.0 * np.rint(n2 / 4.0)) + n3 + WHOLE)  # fmt: skip
        return n, high, low + rest

    return turns


@for_each_format
def sine_of_turns(n, high, low):
    """sin((n + high + low) pi/2)."""
    pi_high, pi_low = PI_HALVES

    def sine_of_turns(n, high, low):
        r, r_low = two_product(high, pi_high)
        r_low += multiply_add(high, pi_low, low * pi_high)
        z = r * r
        sine = r + multiply_add(z * r, polynomial(z, SIN), multiply_add(z, -0.5 * r_low, r_low))
        cosine = multiply_add(z, -0.5, 1.0) + multiply_add(z * z, polynomial(z, COS), -r * r_low)
        value = cosine if n & 1 else sine
        return -value if n & 2 else value

    return sine_of_turns


@for_each_format
def sin(x):
    """The sine of x, in radians."""
    real, tiny = FORMATS[x].real, FORMATS[x].real(TINY)

    def sin(x):
        n, high, low = turns(x)
        value = real(sine_of_turns(n, high, low))
        return x if abs(x) < tiny else value

    return sin


@for_each_format
def cos(x):
    """The cosine of x, in radians."""
    real = FORMATS[x].real

    def cos(x):
        n, high, low = turns(x)
        return real(sine_of_turns(n + 1, high, low))

    return cos
