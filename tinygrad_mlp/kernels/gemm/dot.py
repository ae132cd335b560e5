"""The micro-kernel of the matrix product by dot products: a few rows of A with a few columns of B.

    sums[r, c] = sum over k of A[r, k] * B[k, c]

Both are contiguous along k, so vectors are loaded without packing. Each sum has 64 bytes of lanes
on any machine: lane l adds the terms with k mod lanes = l, and at the end the lanes of each sum are
added as a tree. Registers narrower than 64 bytes hold a piece of the lanes. Each piece then takes a
pass over k of its own, so that the sums of a block fill the registers. A pass covers a chunk of k
that stays in the L1 cache; its sums are kept in memory until the next chunk.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils

from ..runtime.llvm import WORD, emits, loop, merge
from .vectors import Vectors, vectors_of

LANES = 64  # bytes
ROOM, MOST = 128, 16  # bytes of the sums of a pass; how many they are at most
CHUNK, PARTIAL = 2048, MOST * LANES  # bytes of a chunk of k; of the sums kept between chunks
# By the number of registers: rows x columns of a block, whose sums fit them. All heights differ.
# The first is for any C, the others for a C with exactly as few rows, or as few columns.
BLOCKS = {32: ((4, 4), (1, 8), (8, 1), (5, 3), (3, 5)), 16: ((2, 4), (1, 8), (8, 1), (5, 2))}
LONGEST = 8


@emits(lambda real, unit, operands: types.void(real, unit, operands), literal=True)
def multiply_dots(context, builder, signature, real, unit, operands):
    """Compute one pass of a block; after the last chunk, store its dot products at ``sums``.

    ``operands``, a tuple of int64: the block's height; how many of its rows and columns there are;
    ``piece``: the register of lanes that this pass computes, counted from 0; whether the chunk of k
    is the first, and the last; its length; the addresses and strides in bytes of rows of A and of
    columns of B; the address of the sums kept between chunks; ``sums``.

    With fewer rows or columns than the block has, the last one is repeated: no memory behind it is
    read. There must be room for a whole vector at ``sums``.
    """
    height, rows, columns, piece, *rest = cgutils.unpack_tuple(builder, operands)
    first, last, depth, a, a_row, b, b_col, partial, sums = rest
    first, last = (builder.icmp_signed("!=", flag, WORD(0)) for flag in (first, last))
    vectors = vectors_of(context, builder, signature)
    kept = builder.add(partial, builder.mul(piece, WORD(MOST * vectors.unit.width)))
    done = builder.append_basic_block("dots.done")
    switch = builder.switch(height, done)
    for R, C in BLOCKS[vectors.unit.registers]:
        block = builder.append_basic_block(f"dots.{R}x{C}")
        switch.add_case(WORD(R), block)
        builder.position_at_end(block)
        a_rows = vectors.clamped_steps(a, a_row, rows, R)
        b_columns = vectors.clamped_steps(b, b_col, columns, C)
        starts = [vectors.zero] * (R * C)
        if vectors.unit.width == LANES:  # all of k is one chunk
            dots = _dots(vectors, a_rows, b_columns, piece, depth, starts)
            _store(vectors, add_lanes(vectors, dots), sums)
        else:
            before = map(vectors.load, _places(vectors, kept, R * C))
            starts = [
                builder.select(first, zero, x) for zero, x in zip(starts, before, strict=True)
            ]
            dots = _dots(vectors, a_rows, b_columns, piece, depth, starts)
            with builder.if_else(last) as (finish, keep):
                with finish:
                    _store(vectors, add_lanes(vectors, dots), sums)
                with keep:
                    _store(vectors, dots, kept)
        builder.branch(done)
    builder.position_at_end(done)


def _places(vectors: Vectors, address, count):
    """Return the addresses of ``count`` consecutive vectors."""
    return [vectors.builder.add(address, WORD(i * vectors.unit.width)) for i in range(count)]


def _store(vectors: Vectors, values, address):
    for value, place in zip(values, _places(vectors, address, len(values)), strict=True):
        vectors.store(value, place)


def _dots(vectors: Vectors, rows, columns, piece, depth, starts):
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

    _, *sums = loop(
        builder,
        "dots",
        [WORD(0), *starts],
        lambda at, *_: builder.icmp_signed("<", at, end),
        full_step,
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
