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
from ..runtime.memory import pointer, words_of

X, FLAG = 1, 2  # words
COUNT, LOW, HIGH, ALLOWED, INSIDE, EXEMPT = range(6)  # constants
_BLOCK = 512  # elements after which the scan may end


@functools.cache
def address(dtype: str) -> int:
    """Return the address of the kernel for int64, float32 or float64 elements."""
    return compiled(_kernel(getattr(types, dtype), int64 if dtype == "int64" else float64))


def _kernel(item, wide):
    def first_outside(arguments, thread, threads):
        if thread != 0:
            return
        words, constants = words_of(arguments)
        bounds = pointer(words[0], wide)
        count, inside, exempt = constants[COUNT], constants[INSIDE] != 0, constants[EXEMPT] != 0
        low, high, allowed = item(bounds[LOW]), item(bounds[HIGH]), item(bounds[ALLOWED])
        x, flag = pointer(words[X], item), pointer(words[FLAG], int64)
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
