"""The position of the largest or smallest element along the last axis.

    argmax(x)[row] = the first i with x[row, i] >= x[row, j] for all j; a NaN counts as largest

Constants: rows, columns, byte stride of a row. One kernel a dtype.
"""

from __future__ import annotations

import functools

from numba import int64
from numba.core import types

from .launch import compiled
from .memory import pointer


@functools.cache
def address(dtype: str, largest: bool) -> int:
    """The address of the kernel for ``dtype``."""
    return compiled(_kernel(getattr(types, dtype if dtype != "bool" else "uint8"), largest))


def _kernel(real, largest):
    def argmax(arguments, thread, threads):
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns, stride = sizes[0], sizes[1], sizes[2]
        out = pointer(words[2], int64)
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            x = pointer(words[1] + row * stride, real)
            best, where = x[0], 0
            for i in range(1, columns):
                better = x[i] > best if largest else x[i] < best
                if better or (x[i] != x[i] and best == best):
                    best, where = x[i], i
            out[row] = where

    return argmax
