"""sqrt and rsqrt: the machine's own square root, which is rounded correctly."""

from __future__ import annotations

import math

from .bits import FORMATS, for_each_format


@for_each_format
def sqrt(x):
    """The square root."""
    return lambda x: math.sqrt(x)


@for_each_format
def rsqrt(x):
    """One over the square root."""
    one = FORMATS[x].real(1)
    return lambda x: one / math.sqrt(x)
