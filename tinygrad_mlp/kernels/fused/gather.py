"""Gather the rows of a batch: those that a slice of a permutation lists.

    out[i] = x[order[cursor * batch + i]]        i = 0, ..., rows - 1

Threads share the rows of the batch. A row of 8 bytes (a label) is copied as one word, any other row
by the C library's memcpy. A row outside of ``order`` or ``x`` is filled with zero bytes: the kernel
never reads outside of the arrays. The flag is 1 if there is such a row, else 0.

Constants: rows, batch, bytes of a row, rows of x, length of order.
"""

from __future__ import annotations

import functools

from numba import int64, types
from numba.core import cgutils

from ..runtime.launch import compiled
from ..runtime.llvm import emits
from ..runtime.memory import pointer, words_of
from ..runtime.slices import slice_of

X, ORDER, CURSOR, OUT, FLAG = range(1, 6)  # words
ROWS, BATCH, WIDTH, ROWS_OF_X, LENGTH = range(5)  # constants


@emits(types.void(types.int64, types.int64, types.int64))
def _copy(context, builder, signature, target, source, size):
    """Copy ``size`` bytes between two addresses (memcpy)."""
    target, source = (builder.inttoptr(each, cgutils.voidptr_t) for each in (target, source))
    cgutils.raw_memcpy(builder, target, source, size, 1)


@functools.cache
def address() -> int:
    """Return the address of the kernel, one for all dtypes."""
    return compiled(_gather)


def _gather(arguments, thread, threads):
    words, sizes = words_of(arguments)
    rows, width, rows_of_x, length = sizes[ROWS], sizes[WIDTH], sizes[ROWS_OF_X], sizes[LENGTH]
    order, begin = pointer(words[ORDER], int64), pointer(words[CURSOR], int64)[0] * sizes[BATCH]
    if thread == 0:
        wrong = 0 if begin >= 0 and begin + rows <= length else 1
        for i in range(0 if wrong else rows):
            wrong |= (order[begin + i] < 0) | (order[begin + i] >= rows_of_x)
        pointer(words[FLAG], int64)[0] = wrong
    first, last = slice_of(rows, thread, threads)
    for i in range(first, last):
        out, at = words[OUT] + i * width, begin + i
        row = order[at] if 0 <= at < length else -1
        if not 0 <= row < rows_of_x:
            for byte in range(width):
                pointer(out, types.uint8)[byte] = 0
        elif width == 8:
            pointer(out, int64)[0] = pointer(words[X], int64)[row]
        else:
            _copy(out, words[X] + row * width, width)
