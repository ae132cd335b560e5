"""The matrix product by outer products: columns of A times rows of B, tile by tile.

From the textbook's three loops to this one is four steps:

1. C is cut into tiles that fit the vector registers; ``tiles.py`` computes those below each other,
   ``tile.py`` one of them, without touching C in between.
2. The tiles below each other share a *panel* of B, as wide as a tile. It is packed: rows of the
   panel lie one after another, so that the micro-kernel reads B in order, whatever B's strides.
   Where only few rows of A meet it, copying would cost more than it saves: it is read as it lies,
   and the tiles ask for the rows that come next.
3. k is cut into blocks, so that a panel stays in the L2 cache while the rows of A go past it. The
   sums of a tile wait in C from one block of k to the next: the order of summing does not change.
4. Where A has many rows they are cut into blocks too, each copied close together and kept in the
   L2 cache while all panels (packed once, by the first block) go past it.

Threads take rectangles of C. Each element is summed by one thread, over k, in one order: the result
depends neither on the number of threads nor, as long as this form is taken, on where the operands
lie. (``choose.py`` goes by their strides: ``inner.py`` sums in another order.)

The words and constants of the kernel are listed in ``words.py`` and chosen in ``planning.py``.
"""

from __future__ import annotations

from numba import float32

from ..runtime.memory import call_address, pointer, words_on_stack
from ..runtime.slices import share_of_steps
from . import words as at
from .pack import copy_row, copy_tile_row, transpose_block
from .partition import my_part, operands_of, rows_of_grid, run_finish

# The constants of one specialisation; ``source.py`` writes these functions out with others.
real, item, unit, height, lanes, width = float32, 4, "avx512", 12, 16, 32
LINE = 64  # bytes of a cache line


def kernel(arguments, thread, threads):
    """This thread's part of every product of the batch."""
    words, sizes, scratch, first, last, part, parts = my_part(arguments, thread, threads)
    M, N = sizes[at.M], sizes[at.N]
    down = rows_of_grid(M, N, height, width, parts) if parts > 1 else 1
    across = parts // down
    top, bottom = share_of_steps(M, height, part // across, down)
    left, right = share_of_steps(N, width, part % across, across)
    for product in range(first, last):
        multiply_part(words, sizes, scratch, product, top, bottom, left, right)


def multiply_part(words, sizes, scratch, product, top, bottom, left, right):
    """One rectangle of C: blocks of columns, of k, and of rows."""
    K, block_m, block_n, block_k = (
        sizes[at.K],
        sizes[at.BLOCK_M],
        sizes[at.BLOCK_N],
        sizes[at.BLOCK_K],
    )
    for q in range(width):  # the row of zeros
        pointer(scratch, real)[q] = real(0)
    c, c_row = words[at.C] + product * sizes[at.C_BATCH], sizes[at.C_ROW]
    if sizes[at.TURNED]:
        c, c_row = words[at.SCRATCH] + words[at.THREADS] * sizes[at.PER_THREAD], sizes[at.N] * item
    for j in range(left, right, block_n):
        end = min(j + block_n, right)
        for k in range(0, max(K, 1), block_k):
            for i in range(top, bottom, block_m):
                multiply_block(
                    words,
                    sizes,
                    scratch,
                    product,
                    i,
                    min(block_m, bottom - i),
                    j,
                    end,
                    k,
                    min(block_k, K - k),
                    i == top,
                    c + i * c_row,
                    c_row,
                )
    if sizes[at.TURNED]:
        write_turned(
            c,
            c_row,
            words[at.C] + product * sizes[at.C_BATCH],
            sizes[at.C_ROW],
            sizes[at.C_COL],
            top,
            bottom,
            left,
            right,
        )


def multiply_block(words, sizes, scratch, product, i, rows, j, end, k, depth, first, c, c_row):
    """Some rows of A, and a block of k: times all panels from column ``j`` to ``end``."""
    a_row, a_col, b_row, b_col = (
        sizes[at.A_ROW],
        sizes[at.A_COL],
        sizes[at.B_ROW],
        sizes[at.B_COL],
    )
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
            pack(
                b + column * b_col,
                b_row,
                b_col,
                depth,
                min(together * width, end - column),
                panel,
                step,
            )
        place = c + column * item
        start, start_row = scratch, 0  # zeros
        if k > 0 or sizes[at.START] == at.ACCUMULATED:
            start, start_row = place, c_row
        elif sizes[at.START] == at.BIASED:
            start = words[at.BIAS] + column * item
        ahead, ahead_row, further = a, 0, 0
        if sizes[at.DIRECT_B] and k + depth < sizes[at.K]:  # the next block of B: two lines a row
            ahead, ahead_row, further = b + column * b_col + depth * b_row, b_row, LINE
        rectangle = (
            rows,
            columns,
            depth,
            a,
            a_row,
            a_col,
            panel,
            panel_row,
            place,
            c_row,
            start,
            start_row,
            ahead,
            ahead_row,
            further,
        )
        call_address(sizes[at.TILES], words_on_stack(rectangle), 0, 1)
        if sizes[at.FINISH] and k + depth >= sizes[at.K]:
            ready = column + columns - finished  # panels together, while they are in the L2 cache
            if column + columns == end or rows * ready * item >= at.FINISHED_AT_ONCE:
                run_finish(words, sizes, scratch, product, i, rows, finished, ready)
                finished += ready


def pack(b, b_row, b_col, depth, columns, panel, step):
    """Copy columns of B, those of a panel in rows of the tile's width; panels are ``step`` apart.

    Several panels at a time only where rows of B are contiguous: these are read in order.
    """
    panel_row = width * item
    if b_col == item:
        whole = columns - columns % width
        for k in range(depth):
            row, place = b + k * b_row, panel + k * panel_row
            for j in range(0, whole, width):
                copy_tile_row(real, unit, row + j * item, place)
                place += step
            for j in range(whole, columns, lanes):
                copy_row(real, unit, row + j * item, place + (j - whole) * item, columns - j)
    elif b_row == item:
        for k in range(0, depth, lanes):
            for j in range(0, columns, lanes):
                transpose_block(
                    real,
                    unit,
                    b + k * item + j * b_col,
                    b_col,
                    columns - j,
                    depth - k,
                    panel + k * panel_row + j * item,
                    panel_row,
                )
    else:
        for k in range(depth):
            row = pointer(panel + k * panel_row, real)
            for j in range(columns):
                row[j] = pointer(b + k * b_row + j * b_col, real)[0]


def copy_block(a, a_row, a_col, rows, depth, block):
    """Copy a block of A close together, along the axis that it is contiguous on; the new strides.

    A stride is kept off the powers of two: rows that far apart would fight for one set of the L1
    cache.
    """
    if a_row == item:
        step = (rows + lanes) // lanes * lanes * item
        for k in range(depth):
            for i in range(0, rows, lanes):
                copy_row(
                    real, unit, a + k * a_col + i * item, block + k * step + i * item, rows - i
                )
        return item, step
    step = (depth + 2 * lanes) // lanes * lanes * item
    for i in range(rows):
        if a_col == item:
            for k in range(0, depth, lanes):
                copy_row(
                    real, unit, a + i * a_row + k * item, block + i * step + k * item, depth - k
                )
        else:
            row = pointer(block + i * step, real)
            for k in range(depth):
                row[k] = pointer(a + i * a_row + k * a_col, real)[0]
    return step, item


def write_turned(source, source_row, target, target_row, target_col, top, bottom, left, right):
    """Write a rectangle of C', which lies in scratch, to where its elements belong in C."""
    for i in range(top, bottom):
        row = pointer(source + i * source_row, real)
        for j in range(left, right):
            pointer(target + i * target_row + j * target_col, real)[0] = row[j]
