"""The matrix product by inner products: rows of A with columns of B, where C is small.

Where A has few rows, or B few columns, packing a panel costs as much as multiplying it. If both lie
contiguous along k (as x and the weight of ``linear`` do), the products need no packing: `dot.py`
takes a block of them at a time. A narrow B that lies the other way is
copied first.

Threads take rows or columns of C. Every sum has one order, whatever their number.

The words and constants of the kernel are listed in ``words.py`` and chosen in ``planning.py``.
"""

from __future__ import annotations

from numba import float32, int64

from ..memory import pointer
from . import words as at
from .dot import multiply_dots
from .partition import finish, share

# The constants of one specialisation; ``source.py`` writes these functions out with others.
real, item, unit = float32, 4, "avx512"


def kernel(arguments, thread, threads):
    """This thread's part of every product of the batch."""
    words = pointer(arguments, int64)
    sizes = pointer(words[at.CONSTANTS], int64)
    threads = min(threads, words[at.THREADS])
    if thread >= threads:
        return
    scratch = words[at.SCRATCH] + thread * sizes[at.PER_THREAD]
    batch, bottom, right = sizes[at.BATCH], sizes[at.M], sizes[at.N]
    first, last, top, left = 0, batch, 0, 0
    if batch >= threads:
        first, last = batch * thread // threads, batch * (thread + 1) // threads
    elif bottom > right:
        top, bottom = share(bottom, 8, thread, threads)
    else:
        left, right = share(right, 8, thread, threads)
    for product in range(first, last):
        multiply_part(words, sizes, scratch, product, top, bottom, left, right)


def multiply_part(words, sizes, scratch, product, top, bottom, left, right):
    """One rectangle of C, in blocks."""
    b, b_col = words[at.B] + product * sizes[at.B_BATCH], sizes[at.B_COL]
    if sizes[at.B_ROW] != item:
        copy_columns(b, sizes[at.B_ROW], b_col, sizes[at.K], left, right, scratch + at.BLOCK_A)
        b, b_col = scratch + at.BLOCK_A - left * sizes[at.K] * item, sizes[at.K] * item
    a, a_row = words[at.A] + product * sizes[at.A_BATCH], sizes[at.A_ROW]
    high, wide = block_of(bottom - top, right - left)
    for j in range(left, right, wide):
        columns = min(wide, right - j)
        for i in range(top, bottom, high):
            rows = min(high, bottom - i)
            multiply_block(rows, columns, high, sizes[at.K], a + i * a_row, a_row,
                           b + j * b_col, b_col, scratch)  # fmt: skip
            write(words, sizes, scratch, product, i, rows, j, columns, wide)
    if sizes[at.FINISH] and bottom > top and right > left:
        finish(words, sizes, scratch, product, top, bottom - top, left, right - left)


def block_of(rows, columns):
    """The block that wastes least: at most 16 sums, which the registers hold."""
    if rows == 1:
        return 1, 8
    if columns == 1:
        return 8, 1
    if columns == 3:
        return 5, 3
    if rows == 3:
        return 3, 5
    return 4, 4


def multiply_block(rows, columns, high, depth, a, a_row, b, b_col, sums):
    """The products of one block, one after another to scratch."""
    if high == 4:
        multiply_dots(real, unit, 4, 4, rows, columns, depth, a, a_row, b, b_col, sums)
    elif high == 5:
        multiply_dots(real, unit, 5, 3, rows, columns, depth, a, a_row, b, b_col, sums)
    elif high == 3:
        multiply_dots(real, unit, 3, 5, rows, columns, depth, a, a_row, b, b_col, sums)
    elif high == 1:
        multiply_dots(real, unit, 1, 8, rows, columns, depth, a, a_row, b, b_col, sums)
    else:
        multiply_dots(real, unit, 8, 1, rows, columns, depth, a, a_row, b, b_col, sums)


def write(words, sizes, sums, product, i, rows, j, columns, wide):
    """Add a block of products to what C starts from."""
    source, bias = pointer(sums, real), pointer(words[at.BIAS], real)
    c = words[at.C] + product * sizes[at.C_BATCH] + i * sizes[at.C_ROW] + j * sizes[at.C_COL]
    start, c_row, c_col = sizes[at.START], sizes[at.C_ROW], sizes[at.C_COL]
    if start == at.ZEROS:
        for r in range(rows):
            for q in range(columns):
                pointer(c + r * c_row + q * c_col, real)[0] = source[r * wide + q]
        return
    for r in range(rows):
        for q in range(columns):
            place = pointer(c + r * c_row + q * c_col, real)
            place[0] = source[r * wide + q] + (bias[j + q] if start == at.BIASED else place[0])


def copy_columns(b, b_row, b_col, depth, left, right, target):
    """Copy columns of B, each contiguous."""
    for k in range(depth):
        for j in range(left, right):
            column = pointer(target + (j - left) * depth * item, real)
            column[k] = pointer(b + k * b_row + j * b_col, real)[0]
