"""Sums over rows, column by column: first within blocks of 64 rows, then over the blocks.

Batch and layer normalisation share them. Blocks depend on the number of rows alone, and threads
compute whole blocks, so the totals do not depend on the number of threads.
"""

from __future__ import annotations

from numba import float64, njit

from ..runtime.memory import on_stack

BLOCK = 64  # rows of a block
CHUNK = 1024  # columns that are processed together


@njit(inline="always")
def blocks_of(rows: int) -> int:
    """Return the number of blocks."""
    return (rows + BLOCK - 1) // BLOCK


@njit(inline="always")
def fill(array, length, value):
    """Set the first ``length`` elements."""
    for i in range(length):
        array[i] = value


@njit
def add_blocks(sums, rows, columns, first, last, out, out_second):
    """Add the two rows of sums of all blocks, for the columns from ``first`` to ``last``."""
    total, second = on_stack(CHUNK, float64), on_stack(CHUNK, float64)
    for start in range(first, last, CHUNK):
        length = min(CHUNK, last - start)
        fill(total, length, 0.0)
        fill(second, length, 0.0)
        for block in range(blocks_of(rows)):
            at = 2 * block * columns + start
            for i in range(length):
                total[i] += sums[at + i]
                second[i] += sums[at + columns + i]
        for i in range(length):
            out[start + i], out_second[start + i] = total[i], second[i]
