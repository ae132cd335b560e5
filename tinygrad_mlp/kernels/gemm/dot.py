"""The micro-kernel of the matrix product by dot products: a few rows of A with a few columns of B.

    sums[r, c] = sum over k of A[r, k] * B[k, c]

Both are contiguous along k, so vectors are loaded without packing. Each sum has 64 bytes of lanes
on any machine: lane l adds the terms with k mod lanes = l, and at the end the lanes of each sum are
added as a tree. Registers narrower than 64 bytes hold a piece of the lanes. Each piece then takes a
pass over k of its own, so that the sums of a block fill the registers.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils

from ..runtime.llvm import WORD, emits, loop, merge
from .vectors import Vectors, vectors_of

LANES = 64  # bytes
ROOM = 128  # bytes of the sums of a pass
# Rows x columns of a block: at most 16 sums, which the registers hold. All heights differ. The
# first is for any C, the others for a C with exactly as few rows, or as few columns.
BLOCKS = ((4, 4), (1, 8), (8, 1), (5, 3), (3, 5))
LONGEST = 8


@emits(lambda real, unit, operands: types.void(real, unit, operands), literal=True)
def multiply_dots(context, builder, signature, real, unit, operands):
    """Compute one pass of a block, and store its dot products one by one at ``sums``.

    ``operands``, a tuple of int64: the block's height; how many of its rows and columns there are;
    ``piece``: the register of lanes that this pass computes, counted from 0; K; the addresses and
    strides in bytes of rows of A and of columns of B; ``sums``.

    With fewer rows or columns than the block has, the last one is repeated: no memory behind it is
    read. There must be room for a whole vector at ``sums``.
    """
    height, rows, columns, piece, depth, *places, sums = cgutils.unpack_tuple(builder, operands)
    a, a_row, b, b_col = places
    vectors = vectors_of(context, builder, signature)
    done = builder.append_basic_block("dots.done")
    switch = builder.switch(height, done)
    for R, C in BLOCKS:
        block = builder.append_basic_block(f"dots.{R}x{C}")
        switch.add_case(WORD(R), block)
        builder.position_at_end(block)
        a_rows = vectors.clamped_steps(a, a_row, rows, R)
        b_columns = vectors.clamped_steps(b, b_col, columns, C)
        dots = _dots(vectors, a_rows, b_columns, piece, depth)
        for i, vector in enumerate(add_lanes(vectors, dots)):
            vectors.store(vector, builder.add(sums, WORD(i * vectors.lanes * vectors.size)))
        builder.branch(done)
    builder.position_at_end(done)


def _dots(vectors: Vectors, rows, columns, piece, depth):
    """Emit the loop over k, one vector of each 64 bytes, and the rest of k under a mask."""
    builder, size = vectors.builder, vectors.size
    first = builder.mul(piece, WORD(vectors.lanes))
    whole = builder.and_(depth, WORD(-(LANES // size)))
    rest = builder.sub(builder.sub(depth, whole), first)
    begin, end = builder.mul(first, WORD(size)), builder.mul(whole, WORD(size))
    rows, columns = ([builder.add(at, begin) for at in each] for each in (rows, columns))

    def step(load, offset, sums):
        a, b = ([load(builder.add(at, offset)) for at in each] for each in (rows, columns))
        pairs = [(x, y) for x in a for y in b]
        return [vectors.multiply_add(*pair, sum_) for pair, sum_ in zip(pairs, sums, strict=True)]

    def full_step(offset, *sums):
        sums = step(vectors.load, offset, sums)
        return [builder.add(offset, WORD(LANES)), *sums]

    starts = [WORD(0), *[vectors.zero] * (len(rows) * len(columns))]
    _, *sums = loop(
        builder, "dots", starts, lambda at, *_: builder.icmp_signed("<", at, end), full_step
    )
    before = builder.block
    with builder.if_then(builder.icmp_signed(">", rest, WORD(0))):
        mask = vectors.mask(rest)
        added = step(lambda at: vectors.load_masked(at, mask), end, sums)
        after = builder.block
    return merge(builder, (sums, before), (added, after))


def add_lanes(vectors: Vectors, sums):
    """Return vectors whose lanes are the totals of each of ``sums``, in order.

    Two vectors become one by adding neighbouring lanes of both. After log2(lanes) rounds each lane
    is the total of one vector.
    """
    lanes = vectors.lanes
    sums = sums + [vectors.zero] * (-len(sums) % lanes)
    even, odd = list(range(0, 2 * lanes, 2)), list(range(1, 2 * lanes, 2))
    for _ in range(lanes.bit_length() - 1):
        sums = [
            vectors.builder.fadd(vectors.shuffle(x, y, even), vectors.shuffle(x, y, odd))
            for x, y in zip(sums[::2], sums[1::2], strict=True)
        ]
    return sums
