"""erf: both forms are computed, and the one for x is selected.

    erf(x) = x + x p(x^2)                       |x| < 1
    erf(x) = sign(x) (1 - exp(q(|x| - 1)))      1 <= |x|

q approximates log(erfc), which is nearly a parabola, so a polynomial of moderate degree suffices up
to where erf rounds to 1. q was fitted to the error that it causes in erf (2^-26.7 in float32,
2^-56.8 in float64), which allows a larger error where erfc is small; p to the relative error
(2^-29.3 and 2^-55.9).

Source: the second form is N. Juffa's, in answers on Stack Overflow about erff. The coefficients
were found as described in ``exponential.py``.
"""

from __future__ import annotations

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
from .exponential import expm1_of_small, nearest_power

LARGE = {types.float32: 4, types.float64: 6}  # erf rounds to 1 from 3.92 on, or from 5.92 on
BELOW_1 = by_format(  # coefficients of p, lowest first
    (0.128379166, -0.37612626, 0.112835832, -0.0268536918, 0.00518807396, -0.00080078782,
     7.8461082e-05),
    (0.12837916709551256, -0.3761263890318346, 0.11283791670942665, -0.026866170642932567,
     0.005223977604943854, -0.0008548325882079523, 0.00012055292354844537, -1.4924691548497694e-05,
     1.6446901526799567e-06, -1.6204711181327122e-07, 1.3704611878786983e-08,
     -7.768457802434953e-10),
)  # fmt: skip
FROM_1 = by_format(  # coefficients of q, lowest first
    (-1.84960556, -2.63896537, -0.84313041, -0.041461274, 0.00983291399, -0.0017878596,
     0.000176404021),
    (-1.8496055099332482, -2.638967514234783, -0.8431072563591498, -0.0415610980294466,
     0.01003382521874083, -0.0019779014358421916, 0.00023731723788517444, 2.62943084940693e-05,
     -2.7195368947413022e-05, 9.6667129841208e-06, -2.1275139473621157e-06, 2.0172152764299061e-07,
     5.959192247274355e-08, -3.39743469526353e-08, 8.669483698770677e-09, -1.3449350984019824e-09,
     1.2195780607990603e-10, -4.985451531834465e-12),
)  # fmt: skip


@for_each_format
def erf(x):
    """Compute the error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    real = FORMATS[x].real
    zero, one, large = real(0), real(1), real(LARGE[x])
    below, above = BELOW_1[x], FROM_1[x]

    def erf(x):
        a = clamp(abs(x), zero, large)
        shifted, r = nearest_power(polynomial(a - one, above))
        scale = two_to(shifted)
        far = one - multiply_add(scale, expm1_of_small(r), scale)
        near = multiply_add(a, polynomial(a * a, below), a)
        return with_sign(near if a < one else far, x)

    return erf
