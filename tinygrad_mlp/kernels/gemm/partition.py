"""The division of a product among threads, and the kernel that runs on finished blocks of C."""

from __future__ import annotations

from numba import int64, njit

from ..codegen.row_addresses import AXES, COLUMNS, ROWS, SIZES
from ..runtime.memory import call_address, pointer, words_of
from ..runtime.slices import slice_of
from . import words as at

_helper = njit(error_model="numpy", no_cpython_wrapper=True)


@_helper
def my_part(arguments, thread, threads):
    """Return a thread's work: whole products if there is one for each thread, else a part of each.

    The result: words, constants, the thread's scratch; the first product and the last + 1; the
    number of its part, and the number of parts. Threads without scratch get no products.
    """
    words, sizes = words_of(arguments)
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
    """Return the addresses of A and B of a product, exchanged if C' = B' A' is computed."""
    exchanged = sizes[at.TRANSPOSED]
    a = words[at.A + exchanged] + product * sizes[at.A_BATCH]
    return a, words[at.B - exchanged] + product * sizes[at.B_BATCH]


@_helper
def rows_of_grid(M, N, height, width, threads):
    """Return the number of parts of the rows of C for which the largest part of C is smallest.

    The columns are cut into ``threads`` divided by it; parts are whole tiles of height x width.
    """
    tiles, panels = (M + height - 1) // height, (N + width - 1) // width
    best, least = 1, int64(1) << 62
    for down in range(1, threads + 1):
        if threads % down == 0:
            across = threads // down
            rows = (tiles + down - 1) // down * height
            cost = (rows + 4) * ((panels + across - 1) // across)  # 4: a panel has to be packed
            cost += cost * (across - 1) // 12  # the next kernel reads rows: keep them on one core
            if cost < least:
                best, least = down, cost
    return best


@_helper
def run_finish(words, sizes, scratch, product, row, rows, column, columns):
    """Run the finishing elementwise kernel on a block of C that is still in the cache."""
    finish_words = pointer(scratch + at.FINISH_WORDS, int64)
    constants = pointer(scratch + at.FINISH_CONSTANTS, int64)
    finish_words[0] = scratch + at.FINISH_CONSTANTS
    gapless = True  # rows without gaps between them are one long row
    for k in range(sizes[at.OPERANDS]):
        strides = at.STRIDES + 3 * k
        gapless = gapless and sizes[strides + 1] == columns * sizes[strides + 2]
    if gapless:
        rows, columns = 1, rows * columns
    constants[AXES], constants[ROWS], constants[COLUMNS], constants[SIZES] = 1, rows, columns, rows
    for k in range(sizes[at.OPERANDS]):
        strides = at.STRIDES + 3 * k
        start = words[at.C] if k == 0 else words[at.OPERAND + k - 1]
        start += product * sizes[strides] + row * sizes[strides + 1] + column * sizes[strides + 2]
        finish_words[1 + k] = start
        first = SIZES + 1 + 2 * k  # after the size of the one outer axis: a stride and a step each
        constants[first], constants[first + 1] = sizes[strides + 1], 1
    call_address(sizes[at.FINISH], scratch + at.FINISH_WORDS, 0, 1)
