"""Set a flag unless a number is finite: checks a loss before the weights are updated.

    flag = 0 if x - x == 0 else 1        inf - inf and nan - nan are nan

Words: the flag (int64), x. No constants. One kernel for float32, one for float64.
"""

from __future__ import annotations

import functools

from numba import int64
from numba.core import types

from ..runtime.launch import compiled
from ..runtime.memory import pointer

FLAG, X = 1, 2  # words


@functools.cache
def address(dtype: str) -> int:
    """Return the address of the kernel for a dtype."""
    return compiled(_kernel(getattr(types, dtype)))


def _kernel(real):
    def flag_unless_finite(arguments, thread, threads):
        words = pointer(arguments, int64)
        x = pointer(words[X], real)[0]
        if thread == 0:
            pointer(words[FLAG], int64)[0] = 0 if x - x == 0 else 1

    return flag_unless_finite
