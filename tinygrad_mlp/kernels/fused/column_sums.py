"""Sums over rows, column by column: of each block of 64 rows by itself, then of all blocks.

What batch and layer normalisation share. The blocks depend on the number of rows alone, and threads
take whole blocks: so the totals do not depend on the threads.
"""

from __future__ import annotations

from numba import float64, njit

from ..runtime.memory import on_stack

BLOCK = 64  # rows that are summed by themselves
CHUNK = 1024  # columns that are worked on together


@njit(inline="always")
def blocks_of(rows: int) -> int:
    """How many blocks the rows are summed in."""
    return (rows + BLOCK - 1) // BLOCK


@njit(inline="always")
def fill(array, length, value):
    """Set the first ``length`` elements."""
    for i in range(length):
        array[i] = value


@njit
def add_blocks(sums, rows, columns, first, last, out, out_second):
    """The totals over all blocks of their two rows of sums, for some of the columns."""
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
