"""Some rows of A times a panel of B: tiles below each other, each of the largest height that fits.

A kernel of its own, so that the micro-kernels are compiled once. Words, all of them numbers: rows,
columns, depth, A and its strides (row, column), the panel and its row stride, C and its row stride,
what the sums start from and its row stride; then which cache lines the first tile asks for (the
first of them, and their distance), and how much further those of the second tile are.
"""

from __future__ import annotations

from numba import float32, int64

from ..runtime.memory import pointer
from .tile import multiply_tile

# The constants of one specialisation; ``source.py`` writes this function out with others.
real, unit, heights = float32, "avx512", (12, 8, 4, 3, 2, 1)


def kernel(arguments, thread, threads):
    """All rows; there is nothing to share."""
    words = pointer(arguments, int64)
    rows, columns, depth, a, a_row, a_col = (
        words[0],
        words[1],
        words[2],
        words[3],
        words[4],
        words[5],
    )
    b, b_row, c, c_row, start, start_row = (
        words[6],
        words[7],
        words[8],
        words[9],
        words[10],
        words[11],
    )
    ahead, ahead_row, further = words[12], words[13], words[14]
    while rows > 0:
        height = 1
        for each in heights:
            height = max(height, each if each <= rows else 1)
        multiply_tile(
            real,
            unit,
            height,
            columns,
            depth,
            a,
            a_row,
            a_col,
            b,
            b_row,
            c,
            c_row,
            start,
            start_row,
            ahead,
            ahead_row,
        )
        ahead, further = ahead + further, 0
        rows -= height
        a, c, start = a + height * a_row, c + height * c_row, start + height * start_row
