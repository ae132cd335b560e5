"""How a product is shared out, and what is done with a block of it that is finished."""

from __future__ import annotations

from numba import int64, njit

from ..runtime.memory import call_address, pointer
from ..runtime.slices import slice_of
from . import words as at

_helper = njit(error_model="numpy", no_cpython_wrapper=True)


@_helper
def my_part(arguments, thread, threads):
    """What a thread works on: whole products, where each thread gets some, else a part of each.

    Words, constants, its scratch; the first product and the last + 1; which part of each, and of
    how many parts. A thread more than there is scratch for gets no products.
    """
    words = pointer(arguments, int64)
    sizes = pointer(words[at.CONSTANTS], int64)
    scratch = words[at.SCRATCH] + thread * sizes[at.PER_THREAD]
    batch, threads = sizes[at.BATCH], min(threads, words[at.THREADS])
    if thread >= threads:
        return words, sizes, scratch, 0, 0, 0, 1
    if batch >= threads:
        first, last = slice_of(batch, thread, threads)
        return words, sizes, scratch, first, last, 0, 1
    return words, sizes, scratch, 0, batch, thread, threads


@_helper
def operands_of(words, sizes, product):
    """Where A and B of a product begin; where C' = B' A' is computed, they have changed roles."""
    turned = sizes[at.TURNED]
    a = words[at.A + turned] + product * sizes[at.A_BATCH]
    return a, words[at.B - turned] + product * sizes[at.B_BATCH]


@_helper
def rows_of_grid(M, N, height, width, threads):
    """Into how many parts to cut the rows of C, so that the largest part of it is smallest.

    The columns are cut into the other factor of ``threads``; whole tiles of height x width.
    """
    tiles, panels = (M + height - 1) // height, (N + width - 1) // width
    best, least = 1, int64(1) << 62
    for down in range(1, threads + 1):
        if threads % down == 0:
            across = threads // down
            rows = (tiles + down - 1) // down * height
            cost = (rows + 4) * ((panels + across - 1) // across)  # 4: a panel has to be packed
            cost += (
                cost * (across - 1) // 12
            )  # what comes next reads rows: let them stay where made
            if cost < least:
                best, least = down, cost
    return best


@_helper
def run_finish(words, sizes, scratch, product, row, rows, column, columns):
    """Hand a finished block of C, still in the cache, to the elementwise kernel that goes on."""
    beside = pointer(scratch + at.FINISH_WORDS, int64)
    constants = pointer(scratch + at.FINISH_CONSTANTS, int64)
    beside[0] = scratch + at.FINISH_CONSTANTS
    gapless = True  # every row begins where the one before ends: they are one long row
    for k in range(sizes[at.OPERANDS]):
        strides = at.STRIDES + 3 * k
        gapless = gapless and sizes[strides + 1] == columns * sizes[strides + 2]
    if gapless:
        rows, columns = 1, rows * columns
    constants[0], constants[1], constants[2], constants[3] = 1, rows, columns, rows
    for k in range(sizes[at.OPERANDS]):
        strides = at.STRIDES + 3 * k
        operand = words[at.C] if k == 0 else words[at.BESIDE + k - 1]
        beside[1 + k] = (
            operand
            + product * sizes[strides]
            + row * sizes[strides + 1]
            + column * sizes[strides + 2]
        )
        constants[4 + 2 * k], constants[5 + 2 * k] = sizes[strides + 1], 1
    call_address(sizes[at.FINISH], scratch + at.FINISH_WORDS, 0, 1)
