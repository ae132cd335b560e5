"""asinh, acosh and atanh as logarithms; float32 is computed with the same float64 code.

    asinh(x) = sign(x) log1p(a + a^2 / (1 + sqrt(1 + a^2)))        a = |x|
    acosh(x) = log1p(t + sqrt(t (t + 2)))                          t = x - 1
    atanh(x) = sign(x) log1p(2 a / (1 - a)) / 2                    a = |x|

Where squares may overflow, asinh(a) and acosh(a) are log(a) + log(2).

Source: K. C. Ng's s_asinh.c, e_acosh.c and e_atanh.c in Sun's *fdlibm*, 1993.
"""

from __future__ import annotations

import math

import numpy as np

from .bits import FORMATS, for_each_format, with_sign
from .logarithm import log, log1p

LARGE = 2.0**60  # from here on the square root is x
LOG_2 = math.log(2)


@for_each_format
def asinh(x):
    """Compute the inverse of sinh."""
    real = FORMATS[x].real

    def asinh(x):
        a = abs(np.float64(x))
        b = min(a, LARGE)
        near = log1p(b + b * b / (1.0 + math.sqrt(1.0 + b * b)))
        return real(with_sign(near if a < LARGE else log(a) + LOG_2, np.float64(x)))

    return asinh


@for_each_format
def acosh(x):
    """Compute the inverse of cosh, 0 or more; NaN below 1."""
    real, nan = FORMATS[x].real, math.nan

    def acosh(x):
        a = np.float64(x)
        t = min(a, LARGE) - 1.0
        near = log1p(t + math.sqrt(t * (t + 2.0)))
        value = near if a < LARGE else log(a) + LOG_2
        return real(value if a >= 1.0 else nan)

    return acosh


@for_each_format
def atanh(x):
    """Compute the inverse of tanh; NaN outside of -1 to 1."""
    real = FORMATS[x].real

    def atanh(x):
        a = abs(np.float64(x))
        return real(with_sign(0.5 * log1p((a + a) / (1.0 - a)), np.float64(x)))

    return atanh
