"""The matrix product by inner products: rows of A with columns of B, where C is small.

Where A has few rows, or B few columns, packing a panel costs as much as multiplying it. If both lie
contiguous along k (as x and the weight of ``linear`` do), the products need no packing: ``dot.py``
takes a block of them at a time, and so many rows of A meet all of B as the L2 cache holds. A narrow
B that lies the other way is copied first.

Threads take products, or rows or columns of C. Every sum has one order, whatever their number.

The words and constants of the kernel are listed in ``words.py`` and chosen in ``planning.py``.
"""

from __future__ import annotations

from numba import float32

from ..runtime.memory import pointer
from ..runtime.slices import slice_of_steps
from . import words as at
from .dot import BLOCKS, LANES, LONGEST, ROOM, multiply_dots
from .partition import my_part, operands_of, run_finish

# The constants of one specialisation; ``source.py`` writes these functions out with others.
real, item, unit, lanes = float32, 4, "avx512", 16
NEAR = 3 << 18  # bytes of A that stay in the L2 cache while all columns go past them


def kernel(arguments, thread, threads):
    """This thread's part of every product of the batch."""
    words, sizes, scratch, first, last, part, parts = my_part(arguments, thread, threads)
    top, bottom, left, right = 0, sizes[at.M], 0, sizes[at.N]
    if bottom > right:
        top, bottom = slice_of_steps(bottom, LONGEST, part, parts)
    else:
        left, right = slice_of_steps(right, LONGEST, part, parts)
    for product in range(first, last):
        multiply_part(words, sizes, scratch, product, top, bottom, left, right)


def multiply_part(words, sizes, scratch, product, top, bottom, left, right):
    """One rectangle of C, in blocks."""
    a, b = operands_of(words, sizes, product)
    a_row, b_col = sizes[at.A_ROW], sizes[at.B_COL]
    if sizes[at.B_ROW] != item:
        copy_columns(b, sizes[at.B_ROW], b_col, sizes[at.K], left, right, scratch + at.BLOCK_A)
        b, b_col = scratch + at.BLOCK_A - left * sizes[at.K] * item, sizes[at.K] * item
    high, wide = block_of(bottom - top, right - left)
    near = max(NEAR // max(sizes[at.K] * item, 1) // high, 1) * high
    for i in range(top, bottom, near):
        end = min(i + near, bottom)
        for j in range(left, right, wide):
            multiply_columns(
                words,
                sizes,
                scratch,
                product,
                i,
                end,
                j,
                min(wide, right - j),
                a,
                a_row,
                b + j * b_col,
                b_col,
                high,
                wide,
            )
    if sizes[at.FINISH] and bottom > top and right > left:
        run_finish(words, sizes, scratch, product, top, bottom - top, left, right - left)


def multiply_columns(
    words, sizes, scratch, product, top, bottom, column, columns, a, a_row, b, b_col, high, wide
):
    """Some columns of a rectangle, block by block."""
    for i in range(top, bottom, high):
        rows = min(high, bottom - i)
        for piece in range(LANES // (lanes * item)):
            multiply_dots(
                real,
                unit,
                high,
                rows,
                columns,
                piece,
                sizes[at.K],
                a + i * a_row,
                a_row,
                b,
                b_col,
                scratch + piece * ROOM,
            )
        add_pieces(pointer(scratch, real), LANES // (lanes * item))
        write(words, sizes, scratch, product, i, rows, column, columns, wide)


def add_pieces(sums, pieces):
    """The sums of all passes, added as a tree."""
    step, length = 1, ROOM // item
    while step < pieces:
        for i in range(0, pieces, 2 * step):
            for j in range(i * length, i * length + 16):
                sums[j] += sums[j + step * length]
        step *= 2


def block_of(rows, columns):
    """The block that wastes least."""
    for high, wide in BLOCKS:
        if rows == high < wide or columns == wide < high:
            return high, wide
    return BLOCKS[0]


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
