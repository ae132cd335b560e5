"""The matrix product by inner products: rows of A with columns of B, where C is small.

Where A has few rows, or B few columns, packing a panel costs as much as multiplying it. If both are
contiguous along k (as x and the weight of ``linear`` are), no packing is needed: ``dot.py``
multiplies blocks of rows and columns, and all columns of B are used with as many rows of A as stay
in the L2 cache. A narrow B that is not contiguous along k is copied first.

Threads compute products, or rows or columns of C. Each sum has one order, for any number of them.

The words and constants of the kernel are listed in ``words.py`` and chosen in ``planning.py``.
"""

from __future__ import annotations

from numba import float32, int64

from ..runtime.memory import pointer, room_on_stack
from ..runtime.slices import slice_of_steps
from . import words as at
from .dot import BLOCKS, CHUNK, LANES, LONGEST, MOST, PARTIAL, ROOM, multiply_dots
from .partition import my_part, operands_of, run_finish

# The constants of one specialisation; ``source.py`` writes these functions out with others.
real, item, unit, lanes, blocks = float32, 4, "avx512", 16, BLOCKS[32]
NEAR = 3 << 18  # bytes of A that stay in the L2 cache while all columns of B are read


def kernel(arguments, thread, threads):
    """Compute this thread's part of every product of the batch."""
    words, sizes, scratch, first, last, part, parts = my_part(arguments, thread, threads)
    top, bottom, left, right = 0, sizes[at.M], 0, sizes[at.N]
    if bottom > right:
        top, bottom = slice_of_steps(bottom, LONGEST, part, parts)
    else:
        left, right = slice_of_steps(right, LONGEST, part, parts)
    for product in range(first, last):
        multiply_part(words, sizes, scratch, product, top, bottom, left, right)


def multiply_part(words, sizes, scratch, product, top, bottom, left, right):
    """Multiply one rectangle of C, in blocks."""
    a, b = operands_of(words, sizes, product)
    b_col, depth = sizes[at.B_COL], sizes[at.K]
    if sizes[at.B_ROW] != item:
        copy_columns(b, sizes[at.B_ROW], b_col, depth, left, right, scratch + at.BLOCK_A)
        b, b_col = scratch + at.BLOCK_A - left * depth * item, depth * item
    high, wide = block_of(bottom - top, right - left)
    near = max(NEAR // max(depth * item, 1) // high, 1) * high
    for i in range(top, bottom, near):
        end = min(i + near, bottom)
        for j in range(left, right, wide):
            block = (i, end, high, j, min(wide, right - j), wide)
            multiply_columns(words, sizes, scratch, product, block, a, b + j * b_col, b_col)
    if sizes[at.FINISH] and bottom > top and right > left:
        run_finish(words, sizes, scratch, product, top, bottom - top, left, right - left)


def multiply_columns(words, sizes, scratch, product, block, a, b, b_col):
    """Multiply some columns of a rectangle, block by block."""
    top, bottom, high, column, columns, wide = block
    a_row, K, partial = sizes[at.A_ROW], max(sizes[at.K], 1), room_on_stack(PARTIAL)
    pieces = LANES // (lanes * item)
    chunk = CHUNK // item if pieces > 1 else K
    for i in range(top, bottom, high):
        rows, a_at = min(high, bottom - i), a + i * a_row
        for k in range(0, K, chunk):
            range_of_k = (int64(k == 0), int64(k + chunk >= K), min(chunk, sizes[at.K] - k))
            matrices = (a_at + k * item, a_row, b + k * item, b_col, partial)
            for piece in range(pieces):
                extent = (high, rows, columns, piece)
                sums = (scratch + piece * ROOM,)
                multiply_dots(real, unit, extent + range_of_k + matrices + sums)
        add_pieces(pointer(scratch, real), pieces)
        write(words, sizes, scratch, product, i, rows, column, columns, wide)


def add_pieces(sums, pieces):
    """Add the sums of all passes as a tree."""
    step, length = 1, ROOM // item
    while step < pieces:
        for i in range(0, pieces, 2 * step):
            for j in range(i * length, i * length + MOST):
                sums[j] += sums[j + step * length]
        step *= 2


def block_of(rows, columns):
    """Return the rows and columns of the block that wastes least."""
    for high, wide in blocks:
        if rows == high < wide or columns == wide < high:
            return high, wide
    return blocks[0]


def write(words, sizes, sums, product, i, rows, j, columns, wide):
    """Store a block of dot products in C, added to the values that the sums start from."""
    source, bias = pointer(sums, real), pointer(words[at.BIAS], real)
    start, c_row, c_col = sizes[at.START], sizes[at.C_ROW], sizes[at.C_COL]
    c = words[at.C] + product * sizes[at.C_BATCH] + i * c_row + j * c_col
    if start == at.ZEROS:
        for r in range(rows):
            for q in range(columns):
                pointer(c + r * c_row + q * c_col, real)[0] = source[r * wide + q]
        return
    for r in range(rows):
        for q in range(columns):
            out = pointer(c + r * c_row + q * c_col, real)
            out[0] = source[r * wide + q] + (bias[j + q] if start == at.BIASED else out[0])


def copy_columns(b, b_row, b_col, depth, left, right, target):
    """Copy columns of B, so that each is contiguous."""
    for k in range(depth):
        for j in range(left, right):
            column = pointer(target + (j - left) * depth * item, real)
            column[k] = pointer(b + k * b_row + j * b_col, real)[0]
