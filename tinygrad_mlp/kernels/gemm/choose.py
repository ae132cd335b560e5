"""Choose the cheapest form of a product and its blocks, from sizes and strides alone.

The choice does not depend on the number of threads, and the form does not depend on the vector unit
either: so a product has one order of summation, and one result. (Blocks do not change the order;
they depend on the unit.) Python calls these functions to plan the products of tensors, compiled
code at each product of NumPy arrays.
"""

from __future__ import annotations

from numba.extending import register_jitable

from . import words as at
from .dot import LANES

OUTER, INNER, ROW = range(3)
FORMS = ("outer", "inner", "row")

NARROW = 8  # columns of a B that may be copied to be contiguous along k
COPY = 1 << 18  # bytes of that copy, or of C' in scratch, at most
FAR, STREAMS = 1 << 22, 12  # bytes of B that exceed any L2 cache; rows of it read at a time
FEW_ROWS = 24  # of A, with which B is read in place
TOGETHER = 4  # panels that are packed at a time
PAGE = 4096  # bytes after which addresses fall into the same set of an L1 cache
BYTES = 20  # read from the L3 cache in the time of a vector operation

# Python runs these functions on a list; compiled code, on memory.
_either = register_jitable(error_model="numpy")


@_either
def choose(sizes, form, may_transpose, tile, blocks):
    """Set the constants from BLOCK_M to PER_THREAD; the batch, sizes and strides are set already.

    ``form``: the form to use, or -1. ``may_transpose``: whether C' = B' A' may be computed in place
    of C; sizes and strides are then exchanged. ``tile``: as `planning.tile_of` returns it;
    ``blocks``: the largest blocks of M, N and K. Return the form, and an estimate of the number of
    vector operations.
    """
    item, lanes, height, width = tile
    sizes[at.TRANSPOSED] = 0
    by_inner, by_outer = inner_cost(sizes, item), outer_cost(sizes, item)
    if form < 0:
        form = OUTER
        if can_be_inner(sizes, item) and by_inner < by_outer:
            form = INNER
        else:
            if may_transpose and can_transpose(sizes, item):
                swap_roles(sizes)
            if sizes[at.M] == 1 and sizes[at.B_COL] == item and sizes[at.C_COL] == item:
                form = ROW
    sizes[at.PER_THREAD] = at.BLOCK_A
    if form == INNER and sizes[at.B_ROW] != item:
        sizes[at.PER_THREAD] = up(at.BLOCK_A + sizes[at.N] * sizes[at.K] * item, 64)
    if form == OUTER:
        block(sizes, item, lanes, height, width, blocks)
    M, N, K = sizes[at.M], sizes[at.N], sizes[at.K]
    moved = (M * K + K * N + M * N) * item
    operations = min(by_inner, by_outer) * (LANES // (lanes * item))
    return form, sizes[at.BATCH] * max(operations, moved // BYTES)


@_either
def can_be_inner(sizes, item):
    """Return whether A is contiguous along k, and B is too or is narrow enough to be copied."""
    N, K = sizes[at.N], sizes[at.K]
    return sizes[at.A_COL] == item and (
        sizes[at.B_ROW] == item or (N <= NARROW and N * K * item <= COPY)
    )


@_either
def inner_cost(sizes, item):
    """Estimate operations on 64 bytes: the products, the sums of lanes, a copy of B."""
    lanes = LANES // item
    M, N, K = sizes[at.M], sizes[at.N], sizes[at.K]
    copy = 0 if sizes[at.B_ROW] == item else 3 * N * K // 2
    if M > 3 and N > 3:
        M, N = up(M, 4), up(N, 4)
    return M * N * (up(K, lanes) // lanes + 4) + copy


@_either
def outer_cost(sizes, item):
    """Estimate operations on 64 bytes: the products, and packing B."""
    lanes = LANES // item
    vectors, contiguous = up(sizes[at.N], lanes) // lanes, sizes[at.B_COL] == item
    pack = 0 if contiguous and sizes[at.M] <= FEW_ROWS else 2 if contiguous else 6
    return sizes[at.K] * vectors * (max(sizes[at.M], 2) + pack)


@_either
def can_transpose(sizes, item):
    """Return whether A's columns are contiguous and B is narrow: C' with few rows is faster."""
    M, N = sizes[at.M], sizes[at.N]
    return sizes[at.A_ROW] == item and N <= NARROW < M and M * N * item <= COPY


@_either
def swap_roles(sizes):
    """Exchange the sizes and strides of A and B, and those of C, for C' = B' A'."""
    sizes[at.TRANSPOSED] = 1
    for one, other in (
        (at.M, at.N),
        (at.A_ROW, at.B_COL),
        (at.A_COL, at.B_ROW),
        (at.C_ROW, at.C_COL),
        (at.A_BATCH, at.B_BATCH),
    ):
        sizes[one], sizes[other] = sizes[other], sizes[one]


@_either
def block(sizes, item, lanes, height, width, blocks):
    """Set the outer form's blocks, what it copies, and the scratch of a thread."""
    block_m, block_n, block_k = blocks
    M, N, K = sizes[at.M], sizes[at.N], sizes[at.K]
    depth, across = max(min(K, block_k), 1), up(N, width)
    # With few rows of A, B is read in place. If B exceeds the caches, each of its rows is a stream
    # along the panels. The depth is the number of streams that the processor prefetches, or twice
    # that if a panel is used by more than one tile.
    sizes[at.DIRECT_B] = sizes[at.B_COL] == item and 2 * height >= M
    if sizes[at.DIRECT_B] and K * N * item > FAR:
        depth = min(depth, STREAMS if height >= M else 2 * STREAMS)
    count = max((M + block_m - 1) // block_m, 1)
    rows = max(up((M + count - 1) // count, height), 1)  # blocks of rows are about equal
    sizes[at.BLOCK_M], sizes[at.BLOCK_K] = rows, depth
    sizes[at.BLOCK_N] = max(block_n if rows < M else across, width)
    # With many panels, blocks of A are copied if there are several, or if the rows of A compete
    # for one set of the L1 cache.
    a_row = sizes[at.A_ROW]
    compete = sizes[at.A_COL] == item and a_row != 0 and a_row % PAGE == 0 and height < M
    sizes[at.COPY_A] = (block_m < M or compete) and 8 * width <= N
    copied = (rows + 2 * lanes) * (depth + 2 * lanes) * item if sizes[at.COPY_A] else 0
    sizes[at.PANELS_AT] = up(at.BLOCK_A + copied, 64)
    panel = up(depth, lanes) * width * item
    # Panels are stored until all blocks of rows have used them. Where rows of B are contiguous,
    # several are packed at a time: memory beyond the L2 cache is read fastest in order.
    panels = min(sizes[at.BLOCK_N], across) // width
    in_order = sizes[at.B_COL] == item and not sizes[at.DIRECT_B]
    sizes[at.TOGETHER] = min(TOGETHER, panels) if in_order else 1
    sizes[at.PANEL_STEP], sizes[at.SLOTS] = panel, panels if rows < M else sizes[at.TOGETHER]
    sizes[at.PER_THREAD] = sizes[at.PANELS_AT] + up(panel * sizes[at.SLOTS], 64)


@_either
def up(size, step):
    """Round ``size`` up to a multiple of ``step``."""
    return (size + step - 1) // step * step
