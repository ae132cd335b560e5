"""Which form of the product is cheapest, and how it is blocked: from sizes and strides alone.

Never from the number of threads, and the form not from the vector unit either: so a product has one
order of summing, and one result. (Blocks keep the order: they may go by the unit.) Asked by
Python for the plans of tensors' products, and by compiled code at each call of the product on NumPy
arrays.
"""

from __future__ import annotations

from numba.extending import register_jitable

from . import words as at
from .dot import LANES

OUTER, INNER, ROW = range(3)
FORMS = ("outer", "inner", "row")

NARROW = 8  # columns of B that may be copied to lie along k
COPY = 1 << 18  # bytes of it, or of C' in scratch
FAR, STREAMS = 1 << 22, 12  # bytes of B that no L2 cache holds; its rows that are read together
FEW_ROWS = 24  # that meet B where it lies
TOGETHER = 4  # panels that are packed together
PAGE = 4096  # bytes after which the sets of an L1 cache come again
BYTES = 20  # that come from the L3 cache in the time of a vector operation

# Python runs these as they are, on a list; compiled code compiles them, on memory.
_either = register_jitable(error_model="numpy")


@_either
def choose(sizes, form, may_turn, item, lanes, height, width, block_m, block_n, block_k):
    """Fill in the constants from BLOCK_M to PER_THREAD; the batch, sizes and strides are there.

    ``form``: the one to take, or -1. ``may_turn``: whether C' = B' A' may be computed in place of
    C; its sizes and strides then change places. The form taken, and about how many vector
    operations the product takes.
    """
    sizes[at.TURNED] = 0
    by_inner, by_outer = inner_cost(sizes, item), outer_cost(sizes, item)
    if form < 0:
        form = OUTER
        if can_be_inner(sizes, item) and by_inner < by_outer:
            form = INNER
        else:
            if may_turn and can_turn(sizes, item):
                swap_roles(sizes)
            if sizes[at.M] == 1 and sizes[at.B_COL] == item and sizes[at.C_COL] == item:
                form = ROW
    sizes[at.PER_THREAD] = at.BLOCK_A
    if form == INNER and sizes[at.B_ROW] != item:
        sizes[at.PER_THREAD] = up(at.BLOCK_A + sizes[at.N] * sizes[at.K] * item, 64)
    if form == OUTER:
        block(sizes, item, lanes, height, width, block_m, block_n, block_k)
    M, N, K = sizes[at.M], sizes[at.N], sizes[at.K]
    moved = (M * K + K * N + M * N) * item
    operations = min(by_inner, by_outer) * (LANES // (lanes * item))
    return form, sizes[at.BATCH] * max(operations, moved // BYTES)


@_either
def can_be_inner(sizes, item):
    """Whether A lies along k, and B does or is narrow enough to be copied."""
    N, K = sizes[at.N], sizes[at.K]
    along = sizes[at.B_ROW] == item or (N <= NARROW and N * K * item <= COPY)
    return sizes[at.A_COL] == item and along


@_either
def inner_cost(sizes, item):
    """About how many operations on 64 bytes: the products, the sums of lanes, a copy of B."""
    lanes = LANES // item
    M, N, K = sizes[at.M], sizes[at.N], sizes[at.K]
    copy = 0 if sizes[at.B_ROW] == item else 3 * N * K // 2
    if M > 3 and N > 3:
        M, N = up(M, 4), up(N, 4)
    return M * N * (up(K, lanes) // lanes + 4) + copy


@_either
def outer_cost(sizes, item):
    """About how many operations on 64 bytes: the products, and packing B."""
    lanes = LANES // item
    vectors, contiguous = up(sizes[at.N], lanes) // lanes, sizes[at.B_COL] == item
    pack = 0 if contiguous and sizes[at.M] <= FEW_ROWS else 2 if contiguous else 6
    return sizes[at.K] * vectors * (max(sizes[at.M], 2) + pack)


@_either
def can_turn(sizes, item):
    """Whether A is contiguous along its rows and B narrow: a few rows of C' are the faster way."""
    M, N = sizes[at.M], sizes[at.N]
    return sizes[at.A_ROW] == item and N <= NARROW < M and M * N * item <= COPY


@_either
def swap_roles(sizes):
    """C' = B' A': what was said of B is said of A."""
    sizes[at.TURNED] = 1
    for one, other in (
        (at.M, at.N),
        (at.A_ROW, at.B_COL),
        (at.A_COL, at.B_ROW),
        (at.C_ROW, at.C_COL),
        (at.A_BATCH, at.B_BATCH),
    ):
        sizes[one], sizes[other] = sizes[other], sizes[one]


@_either
def block(sizes, item, lanes, height, width, block_m, block_n, block_k):
    """How the outer form is blocked, what it copies, and the scratch that a thread needs for it."""
    M, N, K = sizes[at.M], sizes[at.N], sizes[at.K]
    depth, across = max(min(K, block_k), 1), up(N, width)
    # Few rows meet B: it is read where it lies. If that is far away, each of its rows is a stream
    # along the panels: as many of them at a time as the processor looks ahead in, or twice as many
    # where there is more to do meanwhile.
    sizes[at.DIRECT_B] = sizes[at.B_COL] == item and 2 * height >= M
    if sizes[at.DIRECT_B] and K * N * item > FAR:
        depth = min(depth, STREAMS if height >= M else 2 * STREAMS)
    blocks = max((M + block_m - 1) // block_m, 1)
    rows = max(up((M + blocks - 1) // blocks, height), 1)  # blocks of rows are about equal
    sizes[at.BLOCK_M], sizes[at.BLOCK_K] = rows, depth
    sizes[at.BLOCK_N] = max(block_n if rows < M else across, width)
    # Many panels meet A: its blocks are copied together, and so are rows that fight for one set of
    # the L1 cache.
    apart = sizes[at.A_ROW]
    fight = sizes[at.A_COL] == item and apart != 0 and apart % PAGE == 0 and height < M
    sizes[at.COPY_A] = (block_m < M or fight) and 8 * width <= N
    copied = (rows + 2 * lanes) * (depth + 2 * lanes) * item if sizes[at.COPY_A] else 0
    sizes[at.PANELS_AT] = up(at.BLOCK_A + copied, 64)
    panel = up(depth, lanes) * width * item
    # Panels wait for the other blocks of rows; where rows of B are contiguous, they are packed
    # several at a time: memory further away than the L2 cache is best read in order.
    panels = min(sizes[at.BLOCK_N], across) // width
    in_order = sizes[at.B_COL] == item and not sizes[at.DIRECT_B]
    sizes[at.TOGETHER] = min(TOGETHER, panels) if in_order else 1
    sizes[at.PANEL_STEP], sizes[at.SLOTS] = panel, panels if rows < M else sizes[at.TOGETHER]
    sizes[at.PER_THREAD] = sizes[at.PANELS_AT] + up(panel * sizes[at.SLOTS], 64)


@_either
def up(size, step):
    """``size``, or the next multiple of ``step``."""
    return (size + step - 1) // step * step
