"""Find the first element of an array that a range of values does not allow.

    flag = 0        if every element is right
    flag = k + 1    if element k is the first that is not

An element is right if ``low <= x <= high``; with ``inside`` = 0, if it is outside of that range.
With ``exempt`` = 1 an element that equals ``allowed`` is right too. NaN is in no range.

Words: x (in C order), flag (int64). Constants: the number of elements; ``low``, ``high`` and
``allowed`` (int64, or the bits of a float64 where x is floating); ``inside``, ``exempt``. One
thread does all: the array is read once, in blocks whose inner loop vectorises.
"""

from __future__ import annotations

import functools

from numba import float64, int64
from numba.core import types

from ..runtime.launch import compiled
from ..runtime.memory import pointer

_BLOCK = 512  # elements after which the scan may end


@functools.cache
def address(dtype: str) -> int:
    """Return the address of the kernel for int64, float32 or float64 elements."""
    return compiled(_kernel(getattr(types, dtype), int64 if dtype == "int64" else float64))


def _kernel(item, wide):
    def first_outside(arguments, thread, threads):
        if thread != 0:
            return
        words = pointer(arguments, int64)
        sizes, bounds = pointer(words[0], int64), pointer(words[0], wide)
        count, inside, exempt = sizes[0], sizes[4] != 0, sizes[5] != 0
        low, high, allowed = item(bounds[1]), item(bounds[2]), item(bounds[3])
        x, flag = pointer(words[1], item), pointer(words[2], int64)
        found = 0
        for first in range(0, count, _BLOCK):
            last = min(first + _BLOCK, count)
            wrong = 0
            for k in range(first, last):
                right = ((low <= x[k]) & (x[k] <= high)) == inside
                wrong += not (right | (exempt & (x[k] == allowed)))
            if wrong != 0:
                for k in range(last - 1, first - 1, -1):
                    right = ((low <= x[k]) & (x[k] <= high)) == inside
                    if not (right | (exempt & (x[k] == allowed))):
                        found = k + 1
                break
        flag[0] = found

    return first_outside
