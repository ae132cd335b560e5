"""The matrix product where A is one row and the rows of B are contiguous: rows of B, added up.

A tile would hold a row of C in registers and step down B: short reads, far apart. Here the row of C
waits in the cache while B is read as memory likes it, eight rows at a time. Each element is summed
over k in the order in which the tiles do it, to the same bits.

Threads take columns. The words and constants are listed in ``words.py`` and chosen in
``planning.py``.
"""

from __future__ import annotations

from numba import float32, int64

from ..memory import pointer
from . import words as at
from .axpy import add_rows
from .partition import finish, share

# The constants of one specialisation; ``source.py`` writes these functions out with others.
real, item, unit, width = float32, 4, "avx512", 32


def kernel(arguments, thread, threads):
    """This thread's columns of every product of the batch."""
    words = pointer(arguments, int64)
    sizes = pointer(words[at.CONSTANTS], int64)
    threads = min(threads, words[at.THREADS])
    if thread >= threads:
        return
    scratch = words[at.SCRATCH] + thread * sizes[at.PER_THREAD]
    left, right = share(sizes[at.N], width, thread, threads)
    for product in range(sizes[at.BATCH]):
        for j in range(left, right, 4096):  # what C holds of them stays in the L1 cache
            multiply_columns(words, sizes, product, j, min(4096, right - j))
        if sizes[at.FINISH] and right > left:
            finish(words, sizes, scratch, product, 0, 1, left, right - left)


def multiply_columns(words, sizes, product, j, columns):
    """Some columns of C."""
    turned = sizes[at.TURNED]  # C' = B' A'
    a, a_col = words[at.A + turned] + product * sizes[at.A_BATCH], sizes[at.A_COL]
    b, b_row = words[at.B - turned] + product * sizes[at.B_BATCH] + j * item, sizes[at.B_ROW]
    c = words[at.C] + product * sizes[at.C_BATCH] + j * item
    place, bias = pointer(c, real), pointer(words[at.BIAS], real)
    if sizes[at.START] != at.ACCUMULATED:
        for q in range(columns):
            place[q] = bias[j + q] if sizes[at.START] == at.BIASED else real(0)
    K = sizes[at.K]
    for k in range(0, K - 7, 8):
        add_rows(real, unit, 8, columns, a + k * a_col, a_col, b + k * b_row, b_row, c)
    for k in range(K // 8 * 8, K):
        add_rows(real, unit, 1, columns, a + k * a_col, a_col, b + k * b_row, b_row, c)
