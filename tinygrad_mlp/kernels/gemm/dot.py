"""The micro-kernel of the matrix product by dot products: a few rows of A with a few columns of B.

    sums[r, c] = sum over k of A[r, k] * B[k, c]

Both are contiguous along k, so that vectors are loaded as they lie: nothing is packed. Each sum has
lanes, 64 bytes of them on any machine: lane l adds up the k with k mod lanes = l, and the lanes of
all sums are added together at the end, in a tree. Narrower registers hold some of the lanes, and
take as many passes over k as there are such pieces: the sums of a block fill the registers.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vectors import UNITS, Vectors

_WORD = ir.IntType(64)


LANES = 64  # bytes
ROOM = 128  # bytes of the sums of a pass
# Rows x columns of a block: at most 16 sums, which the registers hold. No two are equally high. The
# first is for any C, the others for one that is as low, or as narrow, as they are.
BLOCKS = ((4, 4), (1, 8), (8, 1), (5, 3), (3, 5))
LONGEST = 8


@intrinsic(prefer_literal=True)
def multiply_dots(
    typingctx, real, unit, high, rows, columns, piece, depth, a, a_row, b, b_col, sums
):
    """One pass: parts of the dot products of the block that is ``high``, one by one to ``sums``.

    ``piece``: which of the registers that hold the lanes it is for, counted from 0.

    Where there are fewer ``rows`` or ``columns``, the last is repeated: nothing is read behind it.
    There must be room for a whole vector at ``sums``.
    """
    signature = types.void(real, unit, *[types.int64] * 10)

    def codegen(context, builder, signature, values):
        high, rows, columns, piece, depth, a, a_row, b, b_col, sums = values[2:]
        vectors = Vectors(context, builder, real.dtype, UNITS[unit.literal_value])
        done = builder.append_basic_block("dots.done")
        switch = builder.switch(high, done)
        for R, C in BLOCKS:
            block = builder.append_basic_block(f"dots.{R}x{C}")
            switch.add_case(_WORD(R), block)
            builder.position_at_end(block)
            dots = _Dots(
                vectors, _places(builder, a, a_row, rows, R), _places(builder, b, b_col, columns, C)
            )
            for i, vector in enumerate(add_lanes(vectors, dots.build(piece, depth))):
                vectors.store(vector, builder.add(sums, _WORD(i * vectors.lanes * vectors.size)))
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


def _places(builder, base, stride, count, most):
    """The addresses of ``most`` rows, of which those behind the ``count``-th are the last again."""
    last, places = builder.sub(count, _WORD(1)), []
    for i in range(most):
        inside = builder.icmp_signed("<", _WORD(i), last)
        step = builder.mul(stride, builder.select(inside, _WORD(i), last))
        places.append(builder.add(base, step))
    return places


class _Dots:
    """Emits the loop over k, a vector of each 64 bytes, and what is left of k under a mask."""

    def __init__(self, vectors: Vectors, rows, columns):
        self.vectors, self.builder, self.rows, self.columns = (
            vectors,
            vectors.builder,
            rows,
            columns,
        )

    def build(self, piece, depth):
        builder, size = self.builder, self.vectors.size
        first = builder.mul(piece, _WORD(self.vectors.lanes))
        whole = builder.and_(depth, _WORD(-(LANES // size)))
        rest = builder.sub(builder.sub(depth, whole), first)
        begin = builder.mul(first, _WORD(size))
        self.rows = [builder.add(at, begin) for at in self.rows]
        self.columns = [builder.add(at, begin) for at in self.columns]
        zeros = [self.vectors.zero] * (len(self.rows) * len(self.columns))
        end = builder.mul(whole, _WORD(size))
        return self.tail(end, rest, self.loop(end, zeros))

    def loop(self, end, starts):
        builder, entry = self.builder, self.builder.block
        loop, done = builder.append_basic_block("dots.k"), builder.append_basic_block("dots.rest")
        builder.cbranch(builder.icmp_signed(">", end, _WORD(0)), loop, done)
        builder.position_at_end(loop)
        offset = builder.phi(_WORD)
        sums = [builder.phi(self.vectors.kind) for _ in starts]
        after = self.step(offset, sums, self.vectors.load)
        following = builder.add(offset, _WORD(LANES))
        offset.add_incoming(_WORD(0), entry)
        offset.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, end), loop, done)
        builder.position_at_end(done)
        return self.merge(starts, entry, after, loop, sums)

    def tail(self, offset, rest, sums):
        builder, entry = self.builder, self.builder.block
        some, done = builder.append_basic_block("dots.some"), builder.append_basic_block("dots.end")
        builder.cbranch(builder.icmp_signed(">", rest, _WORD(0)), some, done)
        builder.position_at_end(some)
        mask = self.vectors.mask(rest)
        after = self.step(offset, sums, lambda at: self.vectors.load_masked(at, mask))
        last = builder.block
        builder.branch(done)
        builder.position_at_end(done)
        return self.merge(sums, entry, after, last)

    def step(self, offset, sums, load):
        a = [load(self.builder.add(at, offset)) for at in self.rows]
        b = [load(self.builder.add(at, offset)) for at in self.columns]
        pairs = [(x, y) for x in a for y in b]
        return [
            self.vectors.multiply_add(x, y, sum_) for (x, y), sum_ in zip(pairs, sums, strict=True)
        ]

    def merge(self, before, entry, after, block, loop=()):
        """The sums, whether or not ``block`` was run; ``loop``: the phi nodes at its head."""
        for phi, first, next_ in zip(loop, before, after, strict=False):
            phi.add_incoming(first, entry)
            phi.add_incoming(next_, block)
        merged = [self.builder.phi(self.vectors.kind) for _ in before]
        for phi, first, next_ in zip(merged, before, after, strict=True):
            phi.add_incoming(first, entry)
            phi.add_incoming(next_, block)
        return merged


def add_lanes(vectors: Vectors, sums):
    """Vectors that hold, lane by lane, the sums of the lanes of each of ``sums``.

    Two vectors become one by adding neighbouring lanes of both; after log2(lanes) rounds each lane
    is the whole sum of one vector, and their order is that of ``sums``.
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
