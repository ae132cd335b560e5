"""Some rows of A times a panel of B: a column of tiles, each of the largest height that fits.

It is a kernel of its own, so that the micro-kernels are compiled once. Its words are in
``words.py``. The first tile prefetches cache lines from AHEAD on, AHEAD_ROW bytes apart; the tiles
after it begin FURTHER bytes later.
"""

from __future__ import annotations

from numba import float32, int64

from ..runtime.memory import pointer
from . import words as at
from .tile import multiply_tile

# The constants of one specialisation; ``source.py`` writes this function out with others.
real, unit, heights = float32, "avx512", (12, 8, 4, 3, 2, 1)


def kernel(arguments, thread, threads):
    """Compute all rows, on one thread."""
    words = pointer(arguments, int64)
    rows, a, c, init = words[at.ROWS], words[at.TILE_A], words[at.TILE_C], words[at.INIT]
    ahead, further = words[at.AHEAD], words[at.FURTHER]
    while rows > 0:
        height = 1
        for each in heights:
            height = max(height, each if each <= rows else 1)
        tile = (words[at.COLUMNS], words[at.DEPTH], a, words[at.TILE_A_ROW], words[at.TILE_A_COL])
        panel = (words[at.PANEL], words[at.PANEL_ROW], c, words[at.TILE_C_ROW])
        begin = (init, words[at.INIT_ROW], ahead, words[at.AHEAD_ROW])
        multiply_tile(real, unit, height, tile + panel + begin)
        ahead, further = ahead + further, 0
        rows -= height
        a += height * words[at.TILE_A_ROW]
        c, init = c + height * words[at.TILE_C_ROW], init + height * words[at.INIT_ROW]
