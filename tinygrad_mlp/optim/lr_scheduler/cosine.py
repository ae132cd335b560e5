"""The cosine, with the same bits on every processor: that of the C library varies.

The fixed-point number x / 16 has 128 bits after the point. Taylor's series of its cosine is doubled
four times: cos(2 a) = 2 cos(a)^2 - 1.
"""

from __future__ import annotations

import functools
import math

BITS = 128  # after the point
ONE = 1 << BITS
TURN = 0x6487ED5110B4611A62633145C06E0E689  # 2 pi
SERIES = [(-1) ** k * ONE // math.factorial(2 * k) for k in range(13, -1, -1)]


@functools.lru_cache(2)  # a step of a schedule computes that of the step before again
def cos(x: float) -> float:
    """Return the cosine of x, in radians, rounded once.

    >>> cos(math.pi / 3)
    0.5000000000000001
    """
    angle = int(math.ldexp(x, BITS)) % TURN
    square, total = angle * angle >> BITS + 8, 0
    for coefficient in SERIES:
        total = (total * square >> BITS) + coefficient
    for _ in range(4):
        total = (total * total >> BITS - 1) - ONE
    return total / ONE
