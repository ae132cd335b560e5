"""The matrix product.

From the textbook's three loops to the tiled one is three steps:

    for i, j, k:   C[i, j] += A[i, k] * B[k, j]                       (`textbook`)

1. C is cut into tiles that fit the vector registers; `tile.py` computes one without touching C.
2. The tiles of one panel of columns share a *packed* copy of that panel of B: rows of the tile's
   width, one after another, so that the inner loop reads B in order, whatever B's strides. A is
   read where it lies: it is walked along k, which is contiguous in A or in A'.
3. k is cut into blocks of 512, so that a packed panel (64 KiB) stays in the L2 cache.

Threads take panels, or rows of tiles where panels are fewer than threads. Each element of C is
summed by one thread over k in one order, so the result does not depend on their number.

Constants: batch, its byte strides in A, B, C; M, N, K; byte strides of A (row, column), of B (row,
column), of C (row); 1 if there is a bias; bytes of scratch for a thread. Words: A, B, bias, C,
scratch, and for how many threads it was made: more than these stand by.
"""

from __future__ import annotations

import functools
import inspect

import numpy as np
from numba import float32, int64

from . import cache
from .launch import keep
from .memory import pointer
from .tile import host, multiply_tile, shape, transpose_block

BLOCK = 512

# The constants of one specialisation; `source` writes the functions below out with others.
real, item = float32, 4
rows_most, rows_half, rows_quarter = 12, 8, 4
vectors, lanes, fused = 2, 16, 1
width = vectors * lanes


def textbook(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix product as it is taught: what the kernel must equal.

    >>> textbook(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    c = np.zeros((a.shape[0], b.shape[1]), np.result_type(a, b))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
    return c


def scratch_bytes(dtype: str, unit: str | None = None) -> int:
    """Scratch for one thread: a packed panel, a ragged tile of C, and a row to start sums from."""
    itemsize = np.dtype(dtype).itemsize
    tile = shape(unit or host(), itemsize)
    return (BLOCK + tile.rows + 1) * tile.columns * itemsize


@functools.cache
def address(dtype: str, unit: str | None = None) -> int:
    """The address of the kernel for float32 or float64, for a vector unit (the host's)."""
    unit = unit or host()
    return keep(cache.load(f"gemm_{dtype}_{unit}", source(dtype, unit)).kernel)


def source(dtype: str, unit: str) -> str:
    """The kernel for a dtype and a vector unit, as the text of a Python file."""
    itemsize = np.dtype(dtype).itemsize
    tile = shape(unit, itemsize)
    half = 8 if tile.rows > 8 else 4
    return "\n".join([
        f'"""gemm: the matrix product of {dtype} on {unit}. See tinygrad_mlp.kernels.gemm."""',
        f"from numba import cfunc, {dtype}, int64, njit",
        "from tinygrad_mlp.kernels.memory import SIGNATURE, pointer",
        "from tinygrad_mlp.kernels.tile import multiply_tile, transpose_block",
        f"BLOCK, real, item = {BLOCK}, {dtype}, {itemsize}",
        f"rows_most, rows_half, rows_quarter = {tile.rows}, {half}, {half // 2}",
        f"vectors, lanes, fused = {tile.vectors}, {tile.lanes}, {int(tile.fused)}",
        f"width = {tile.columns}",
        *(f'@njit(inline="never", error_model="numpy")\n{inspect.getsource(function)}'
          for function in (pack, multiply_rows, multiply_panel)),
        f'@cfunc(SIGNATURE, cache=True, error_model="numpy")\n{inspect.getsource(kernel)}',
    ])  # fmt: skip


def kernel(arguments, thread, threads):
    """Every panel of every product of the batch that is this thread's."""
    words = pointer(arguments, int64)
    sizes = pointer(words[0], int64)
    batch, a_batch, b_batch, c_batch = sizes[0], sizes[1], sizes[2], sizes[3]
    M, N, K = sizes[4], sizes[5], sizes[6]
    a_row, a_col, b_row, b_col, c_row = sizes[7], sizes[8], sizes[9], sizes[10], sizes[11]
    has_bias, bias = sizes[12], pointer(words[3], real)
    threads = min(threads, words[6])
    if thread >= threads:
        return
    scratch = words[5] + thread * sizes[13]
    panels = (N + width - 1) // width
    tasks, first, rows = batch * panels, 0, M
    first_task, last_task = tasks * thread // threads, tasks * (thread + 1) // threads
    if tasks < threads:  # too few panels: share the rows, in whole tiles
        tiles = (M + rows_most - 1) // rows_most
        first = min(tiles * thread // threads * rows_most, M)
        rows = min(tiles * (thread + 1) // threads * rows_most, M) - first
        first_task, last_task = 0, tasks
    start = pointer(scratch, real)
    for task in range(first_task, last_task):
        part, j = task // panels, task % panels * width
        columns = min(width, N - j)
        for i in range(width):
            start[i] = bias[j + i] if has_bias and i < columns else real(0)
        multiply_panel(
            rows, columns, K,
            words[1] + part * a_batch + first * a_row, a_row, a_col,
            words[2] + part * b_batch + j * b_col, b_row, b_col,
            words[4] + part * c_batch + first * c_row + j * item, c_row, scratch,
        )  # fmt: skip


def multiply_panel(rows, columns, K, a, a_row, a_col, b, b_row, b_col, c, c_row, scratch):
    """One panel of C: for each block of k, pack B and go down the rows."""
    tile_row = width * item
    ragged = scratch + tile_row
    panel = ragged + rows_most * tile_row
    tile, start = pointer(ragged, real), pointer(scratch, real)
    for k in range(0, max(K, 1), BLOCK):
        depth = min(BLOCK, K - k)
        pack(b + k * b_row, b_row, b_col, depth, columns, panel)
        init, init_row = (scratch, 0) if k == 0 else (c, c_row)
        if columns == width:
            multiply_rows(rows, depth, a + k * a_col, a_row, a_col, panel, c, c_row, init, init_row)
            continue
        for r in range(0, rows, rows_most):  # a ragged panel goes through a tile of scratch
            count = min(rows_most, rows - r)
            for i in range(count):
                place = pointer(c + (r + i) * c_row, real)
                for q in range(columns):
                    tile[i * width + q] = place[q] if k > 0 else start[q]
            multiply_rows(count, depth, a + r * a_row + k * a_col, a_row, a_col, panel,
                          ragged, tile_row, ragged, tile_row)  # fmt: skip
            for i in range(count):
                place = pointer(c + (r + i) * c_row, real)
                for q in range(columns):
                    place[q] = tile[i * width + q]


def multiply_rows(rows, depth, a, a_row, a_col, panel, c, c_row, init, init_row):
    """Some rows of a panel of C: whole tiles, then tiles of 8, 4 and 1 rows (or 4, 2 and 1)."""
    while rows > 0:
        if rows >= rows_most:
            n = rows_most
            multiply_tile(real, rows_most, vectors, lanes, fused, depth, a, a_row, a_col, panel, c,
                          c_row, init, init_row)  # fmt: skip
        elif rows >= rows_half:
            n = rows_half
            multiply_tile(real, rows_half, vectors, lanes, fused, depth, a, a_row, a_col, panel, c,
                          c_row, init, init_row)  # fmt: skip
        elif rows >= rows_quarter:
            n = rows_quarter
            multiply_tile(real, rows_quarter, vectors, lanes, fused, depth, a, a_row, a_col, panel,
                          c, c_row, init, init_row)  # fmt: skip
        else:
            n = 1
            multiply_tile(real, 1, vectors, lanes, fused, depth, a, a_row, a_col, panel, c, c_row,
                          init, init_row)  # fmt: skip
        rows, a, c, init = rows - n, a + n * a_row, c + n * c_row, init + n * init_row


def pack(b, b_row, b_col, depth, columns, panel):
    """Copy ``columns`` columns of B into rows of the tile's width, zeros behind."""
    target = pointer(panel, real)
    done = 0
    if columns == width and b_col == item:
        done = depth
        for k in range(depth):
            row = pointer(b + k * b_row, real)
            for j in range(width):
                target[k * width + j] = row[j]
    elif columns == width and b_row == item:
        done = depth // lanes * lanes
        for k in range(0, done, lanes):
            for j in range(0, width, lanes):
                transpose_block(real, lanes, b + k * item + j * b_col, b_col,
                                panel + (k * width + j) * item, width * item)  # fmt: skip
    for k in range(done, depth):
        for j in range(columns):
            target[k * width + j] = pointer(b + k * b_row + j * b_col, real)[0]
        for j in range(columns, width):
            target[k * width + j] = real(0)
