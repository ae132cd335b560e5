"""The matrix product by outer products: columns of A times rows of B, tile by tile.

It differs from the textbook's three loops by four steps:

1. C is cut into tiles that fit the vector registers. ``tile.py`` computes one tile without writing
   to C in between, ``tiles.py`` a column of tiles.
2. A column of tiles shares a *panel* of B, as wide as a tile. The panel is packed: its rows are
   stored consecutively, so that the micro-kernel reads B in order, for any strides of B. With few
   rows of A, packing would cost more than it saves: B is then read in place, with prefetches.
3. k is cut into blocks, so that a panel stays in the L2 cache while all rows of A use it. Between
   blocks of k the sums of a tile are kept in C: the order of summation does not change.
4. If A has many rows, they are cut into blocks too. Each block is copied and stays in the L2 cache
   while all panels (packed once, for the first block) are used.

Threads compute rectangles of C. One thread sums each element over k, in one order: the result does
not depend on the number of threads, nor, as long as this form is chosen, on the operands' strides.
(``choose.py`` chooses by strides: ``inner.py`` sums in another order.)

The words and constants of the kernel are listed in ``words.py`` and chosen in ``planning.py``.
"""

from __future__ import annotations

from numba import float32

from ..runtime.memory import call_address, pointer, words_on_stack
from ..runtime.slices import slice_of_steps
from . import words as at
from .pack import copy_row, copy_tile_row, transpose_block
from .partition import my_part, operands_of, rows_of_grid, run_finish

# The constants of one specialisation; ``source.py`` writes these functions out with others.
real, item, unit, height, lanes, width = float32, 4, "avx512", 12, 16, 32
LINE = 64  # bytes of a cache line


def kernel(arguments, thread, threads):
    """Compute this thread's part of every product of the batch."""
    words, sizes, scratch, first, last, part, parts = my_part(arguments, thread, threads)
    M, N = sizes[at.M], sizes[at.N]
    down = rows_of_grid(M, N, height, width, parts) if parts > 1 else 1
    across = parts // down
    top, bottom = slice_of_steps(M, height, part // across, down)
    left, right = slice_of_steps(N, width, part % across, across)
    for product in range(first, last):
        multiply_part(words, sizes, scratch, product, top, bottom, left, right)


def multiply_part(words, sizes, scratch, product, top, bottom, left, right):
    """Multiply one rectangle of C: blocks of columns, of k, and of rows."""
    K, block_m, block_k = sizes[at.K], sizes[at.BLOCK_M], sizes[at.BLOCK_K]
    for q in range(width):  # the row of zeros
        pointer(scratch, real)[q] = real(0)
    c, c_row = words[at.C] + product * sizes[at.C_BATCH], sizes[at.C_ROW]
    if sizes[at.TRANSPOSED]:
        c, c_row = words[at.SCRATCH] + words[at.THREADS] * sizes[at.PER_THREAD], sizes[at.N] * item
    for j in range(left, right, sizes[at.BLOCK_N]):
        end = min(j + sizes[at.BLOCK_N], right)
        for k in range(0, max(K, 1), block_k):
            for i in range(top, bottom, block_m):
                block = (i, min(block_m, bottom - i), j, end, k, min(block_k, K - k))
                result = (c + i * c_row, c_row)
                multiply_block(words, sizes, scratch, product, block, i == top, result)
    if sizes[at.TRANSPOSED]:
        write_transposed(words, sizes, product, c, c_row, top, bottom, left, right)


def multiply_block(words, sizes, scratch, product, block, first, result):
    """Multiply some rows of A, and a block of k, with all panels from column ``j`` to ``end``."""
    i, rows, j, end, k, depth = block
    c, c_row = result
    a_row, a_col, b_row, b_col = sizes[at.A_ROW], sizes[at.A_COL], sizes[at.B_ROW], sizes[at.B_COL]
    a, b = operands_of(words, sizes, product)
    a, b = a + i * a_row + k * a_col, b + k * b_row
    if sizes[at.COPY_A]:
        a_row, a_col = copy_block(a, a_row, a_col, rows, depth, scratch + at.BLOCK_A)
        a = scratch + at.BLOCK_A
    slot, step, together = scratch + sizes[at.PANELS_AT], sizes[at.PANEL_STEP], sizes[at.TOGETHER]
    finished = j
    for column in range(j, end, width):
        columns, number = min(width, end - column), (column - j) // width
        panel, panel_row = slot + number % sizes[at.SLOTS] * step, width * item
        if sizes[at.DIRECT_B] and columns % lanes == 0:
            panel, panel_row = b + column * b_col, b_row
        elif first and number % together == 0:
            several = min(together * width, end - column)
            pack(b + column * b_col, b_row, b_col, depth, several, panel, step)
        target = c + column * item
        start, start_row = scratch, 0  # zeros
        if k > 0 or sizes[at.START] == at.ACCUMULATED:
            start, start_row = target, c_row
        elif sizes[at.START] == at.BIASED:
            start = words[at.BIAS] + column * item
        ahead, ahead_row, further = a, 0, 0
        if sizes[at.DIRECT_B] and k + depth < sizes[at.K]:  # the next block of B: two lines a row
            ahead, ahead_row, further = b + column * b_col + depth * b_row, b_row, LINE
        tiles = (rows, columns, depth, a, a_row, a_col, panel, panel_row)
        begin = (target, c_row, start, start_row, ahead, ahead_row, further)
        call_address(sizes[at.TILES], words_on_stack(tiles + begin), 0, 1)
        if sizes[at.FINISH] and k + depth >= sizes[at.K]:
            ready = column + columns - finished  # panels together, while they are in the L2 cache
            if column + columns == end or rows * ready * item >= at.FINISHED_AT_ONCE:
                run_finish(words, sizes, scratch, product, i, rows, finished, ready)
                finished += ready


def pack(b, b_row, b_col, depth, columns, panel, step):
    """Copy columns of B to panels, in rows of the tile's width; panels are ``step`` bytes apart.

    Several panels are packed at a time only where rows of B are contiguous.
    """
    panel_row = width * item
    if b_col == item:
        whole = columns - columns % width
        for k in range(depth):
            row, target = b + k * b_row, panel + k * panel_row
            for j in range(0, whole, width):
                copy_tile_row(real, unit, row + j * item, target)
                target += step
            for j in range(whole, columns, lanes):
                copy_row(real, unit, row + j * item, target + (j - whole) * item, columns - j)
    elif b_row == item:
        for k in range(0, depth, lanes):
            for j in range(0, columns, lanes):
                source, target = b + k * item + j * b_col, panel + k * panel_row + j * item
                high, wide = columns - j, depth - k
                transpose_block(real, unit, source, b_col, high, wide, target, panel_row)
    else:
        for k in range(depth):
            row = pointer(panel + k * panel_row, real)
            for j in range(columns):
                row[j] = pointer(b + k * b_row + j * b_col, real)[0]


def copy_block(a, a_row, a_col, rows, depth, block):
    """Copy a block of A, along the axis that is contiguous; return the new strides.

    The new stride is never a power of two: rows that far apart would compete for one set of the L1
    cache.
    """
    if a_row == item:
        step = (rows + lanes) // lanes * lanes * item
        for k in range(depth):
            source, target = a + k * a_col, block + k * step
            for i in range(0, rows, lanes):
                copy_row(real, unit, source + i * item, target + i * item, rows - i)
        return item, step
    step = (depth + 2 * lanes) // lanes * lanes * item
    for i in range(rows):
        source, target = a + i * a_row, block + i * step
        if a_col == item:
            for k in range(0, depth, lanes):
                copy_row(real, unit, source + k * item, target + k * item, depth - k)
        else:
            for k in range(depth):
                pointer(target, real)[k] = pointer(source + k * a_col, real)[0]
    return step, item


def write_transposed(words, sizes, product, source, source_row, top, bottom, left, right):
    """Copy a rectangle of C', which is in scratch, transposed into C."""
    c = words[at.C] + product * sizes[at.C_BATCH]
    for i in range(top, bottom):
        row, target = pointer(source + i * source_row, real), c + i * sizes[at.C_ROW]
        for j in range(left, right):
            pointer(target + j * sizes[at.C_COL], real)[0] = row[j]
