"""sqrt and rsqrt by the processor's square root, which is correctly rounded."""

from __future__ import annotations

import math

from .bits import FORMATS, for_each_format


@for_each_format
def sqrt(x):
    """Compute the square root."""
    return lambda x: math.sqrt(x)


@for_each_format
def rsqrt(x):
    """Compute one over the square root."""
    one = FORMATS[x].real(1)
    return lambda x: one / math.sqrt(x)
