"""atan, atan2, asin and acos; float32 is computed with the same float64 code.

The angle of a point (x, y) in the first quadrant is one of three angles plus a small one:

    angle = pi/2 + atan(-x / y)                      x tan(3 pi/8) <= y
    angle = pi/4 + atan((y - x) / (y + x))           in between
    angle = atan(y / x)                              y < x tan(pi/8)

and atan(t) = t + t^3 q(t^2) for |t| <= tan(pi/8), with a relative error of 2^-59.4, fitted as
described in ``exponential.py``. The other quadrants follow by symmetry. asin(x) and acos(x) are the
angles of the points (sqrt(1 - x^2), x) and (x, sqrt(1 - x^2)).

Source: S. L. Moshier, *Methods and Programs for Mathematical Functions*, 1989 (Cephes), for the
three ranges; ISO C99, annex F.9.1, for the special cases.
"""

from __future__ import annotations

import math

import numpy as np

from .bits import FORMATS, for_each_format, multiply_add, polynomial, with_sign
from .trigonometric import PI_HALVES

COEFFICIENTS = (  # of q, lowest first
    -0.3333333333333319, 0.19999999999952367, -0.14285714280084089, 0.11111110778210419,
    -0.09090897614990076, 0.07692057791987024, -0.06663077579267912, 0.05847703131534681,
    -0.050384901078584364, 0.0380443893214451, -0.01788561536776087,
)  # fmt: skip
NEAR, FAR = 0.41421356237309503, 2.414213562373095  # tan(pi/8), tan(3 pi/8)


@for_each_format
def angle(y, x):
    """Return the angle of the point (x, y), of two float64 numbers, from -pi to pi."""
    (high, low), infinity = PI_HALVES, math.inf

    def angle(y, x):
        a, b = abs(y), abs(x)
        scale = 0.25 if max(a, b) > 1.0 else 1.0  # so that the sum does not overflow
        scale = 2.0**60 if max(a, b) < 2.0**-900 else scale  # nor the quotient of subnormals lose
        a, b = a * scale, b * scale
        steep, flat = a >= FAR * b, a < NEAR * b
        above = -b if steep else a if flat else a - b
        below = a if steep else b if flat else a + b
        equal, origin = a == b, (a == 0.0) & (b == 0.0)
        t = above / below
        t = 0.0 if origin | (equal & (a == infinity)) else t
        quarters = 0.0 if flat | origin else 0.5 if equal else 1.0 if steep else 0.5
        z = t * t
        rest = multiply_add(t * z, polynomial(z, COEFFICIENTS), quarters * low)
        left = with_sign(1.0, x) < 0.0
        # In the left half plane it is pi less the angle.
        start = (2.0 - quarters) * high if left else quarters * high
        t = -t if left else t
        rest = multiply_add(2.0, low, -rest) if left else rest
        return with_sign(start + (t + rest), y)

    return angle


@for_each_format
def atan2(y, x):
    """Compute the angle of the point (x, y)."""
    real = FORMATS[x].real

    def atan2(y, x):
        value = real(angle(np.float64(y), np.float64(x)))
        return x + y if (x != x) | (y != y) else value

    return atan2


@for_each_format
def atan(x):
    """Compute the angle whose tangent is x."""
    real = FORMATS[x].real
    return lambda x: real(angle(np.float64(x), 1.0))


@for_each_format
def cofactor(x):
    """Compute sqrt(1 - x^2) of a float64 number; NaN outside of -1 to 1."""
    return lambda x: math.sqrt((1.0 - x) * (1.0 + x))


@for_each_format
def asin(x):
    """Compute the angle whose sine is x."""
    real = FORMATS[x].real
    return lambda x: real(angle(np.float64(x), cofactor(np.float64(x))))


@for_each_format
def acos(x):
    """Compute the angle whose cosine is x."""
    real = FORMATS[x].real
    return lambda x: real(angle(cofactor(np.float64(x)), np.float64(x)))
