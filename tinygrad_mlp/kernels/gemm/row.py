"""The matrix product where A is one row and the rows of B are contiguous: a sum of rows of B.

A tile would hold a part of a row of C in registers and read short pieces of each row of B. Here the
row of C stays in the cache while B is read in order, eight rows at a time. Each element is summed
over k in the same order as in the tiles, to the same bits.

Threads compute products, or columns. The words and constants are listed in ``words.py`` and chosen
in ``planning.py``.
"""

from __future__ import annotations

from numba import float32

from ..runtime.memory import pointer
from ..runtime.slices import slice_of_steps
from . import words as at
from .axpy import IN_CACHE, TOGETHER, add_rows
from .partition import my_part, operands_of, run_finish

# The constants of one specialisation; ``source.py`` writes these functions out with others.
real, item, unit, width = float32, 4, "avx512", 32


def kernel(arguments, thread, threads):
    """Compute this thread's part of the batch: products, or columns of every product."""
    words, sizes, scratch, first, last, part, parts = my_part(arguments, thread, threads)
    left, right = slice_of_steps(sizes[at.N], width, part, parts)
    for product in range(first, last):
        for j in range(left, right, IN_CACHE):
            multiply_columns(words, sizes, product, j, min(IN_CACHE, right - j))
        if sizes[at.FINISH] and right > left:
            run_finish(words, sizes, scratch, product, 0, 1, left, right - left)


def multiply_columns(words, sizes, product, j, columns):
    """Compute some columns of C."""
    a, b = operands_of(words, sizes, product)
    a_col, b_row, b = sizes[at.A_COL], sizes[at.B_ROW], b + j * item
    c = words[at.C] + product * sizes[at.C_BATCH] + j * item
    out, bias = pointer(c, real), pointer(words[at.BIAS], real)
    if sizes[at.START] != at.ACCUMULATED:
        for q in range(columns):
            out[q] = bias[j + q] if sizes[at.START] == at.BIASED else real(0)
    K = sizes[at.K]
    whole = K // TOGETHER * TOGETHER
    for k in range(0, whole, TOGETHER):
        add_rows(real, unit, TOGETHER, columns, a + k * a_col, a_col, b + k * b_row, b_row, c)
    for k in range(whole, K):
        add_rows(real, unit, 1, columns, a + k * a_col, a_col, b + k * b_row, b_row, c)
