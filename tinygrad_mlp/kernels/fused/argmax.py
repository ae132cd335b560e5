"""The position of the largest or smallest element along the last axis.

    argmax(x)[row] = the first i with x[row, i] >= x[row, j] for all j; a NaN counts as largest

The extreme of each block of 128 elements is folded in vector lanes. Then the first block that holds
the extreme of the row is searched element by element. A short row is searched directly.

Words: x, out. Constants: rows, columns, byte stride of a row. One kernel per dtype.
"""

from __future__ import annotations

import functools

from numba import int64
from numba.core import types

from ..runtime.launch import compiled
from ..runtime.memory import pointer, words_of
from ..runtime.slices import slice_of
from ..vmath.minmax import maximum, minimum

X, OUT = 1, 2  # words
ROWS, COLUMNS, STRIDE = range(3)  # constants
BLOCK = 128
SHORT = 12  # columns


@functools.cache
def address(dtype: str, largest: bool) -> int:
    """Return the address of the kernel for ``dtype``."""
    return compiled(_kernel(getattr(types, dtype if dtype != "bool" else "uint8"), largest))


def _kernel(real, largest):
    def argmax(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns, stride = sizes[ROWS], sizes[COLUMNS], sizes[STRIDE]
        out = pointer(words[OUT], int64)
        first, last = slice_of(rows, thread, threads)
        for row in range(first, last):
            x = pointer(words[X] + row * stride, real)
            best, where = x[0], 0
            if columns <= SHORT:
                for i in range(1, columns):  # without branches, which could not be predicted
                    better = x[i] > best if largest else x[i] < best
                    better |= (x[i] != x[i]) & (best == best)
                    best, where = x[i] if better else best, i if better else where
                out[row] = where
                continue
            for start in range(0, columns, BLOCK):
                top = x[start]
                for i in range(start, min(start + BLOCK, columns)):
                    top = maximum(top, x[i]) if largest else minimum(top, x[i])
                better = top > best if largest else top < best
                if better or (top != top and best == best):
                    best, where = top, start
            while x[where] != best and x[where] == x[where]:
                where += 1
            out[row] = where

    return argmax
