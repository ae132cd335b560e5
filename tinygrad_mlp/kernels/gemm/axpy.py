"""The micro-kernel of a row times a matrix: a few rows of B, each times a number, added to a row.

    C[j] = C[j] + A[0] * B[0, j] + A[1] * B[1, j] + ...        (summed from the left)

All of B is read once, in order, several rows side by side: the speed is that of memory. The name is
that of BLAS: a times x plus y.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vectors import UNITS, Vectors

TOGETHER = 8  # rows of B that are read side by side
IN_CACHE = 4096  # columns of C, which stay in the L1 cache while rows of B are added to them

_WORD = ir.IntType(64)


@intrinsic(prefer_literal=True)
def add_rows(typingctx, real, unit, rows, columns, a, a_col, b, b_row, c):
    """Add ``rows`` (a literal) rows of B to C, ``columns`` long; strides in bytes."""
    signature = types.void(real, unit, rows, *[types.int64] * 6)
    count = rows.literal_value

    def codegen(context, builder, signature, values):
        columns, a, a_col, b, b_row, c = values[3:]
        vectors = Vectors(context, builder, real.dtype, UNITS[unit.literal_value])
        factors = [vectors.spread(_step(builder, a, a_col, i)) for i in range(count)]
        places = [_step(builder, b, b_row, i) for i in range(count)]
        whole = builder.and_(columns, _WORD(-vectors.lanes))
        end = builder.mul(whole, _WORD(vectors.size))
        with _loop(builder, end, vectors.lanes * vectors.size) as offset:
            at = builder.add(c, offset)
            start = vectors.load(at)
            rows = [vectors.load(builder.add(place, offset)) for place in places]
            vectors.store(_sum(vectors, start, factors, rows), at)
        mask = vectors.mask(builder.sub(columns, whole))
        with builder.if_then(builder.icmp_signed("<", whole, columns)):
            at = builder.add(c, end)
            start = vectors.load_masked(at, mask)
            rows = [vectors.load_masked(builder.add(place, end), mask) for place in places]
            vectors.store_masked(_sum(vectors, start, factors, rows), at, mask)
        return context.get_dummy_value()

    return signature, codegen


def _step(builder, base, stride, count):
    return builder.add(base, builder.mul(stride, _WORD(count)))


def _sum(vectors, start, factors, rows):
    for factor, row in zip(factors, rows, strict=True):
        start = vectors.multiply_add(factor, row, start)
    return start


class _loop:
    """Emit a loop over offsets 0, step, ... below ``end`` around a ``with`` block."""

    def __init__(self, builder, end, step):
        self.builder, self.end, self.step = builder, end, step

    def __enter__(self):
        builder, entry = self.builder, self.builder.block
        self.body = builder.append_basic_block("axpy.columns")
        self.done = builder.append_basic_block("axpy.rest")
        builder.cbranch(builder.icmp_signed(">", self.end, _WORD(0)), self.body, self.done)
        builder.position_at_end(self.body)
        self.offset = builder.phi(_WORD)
        self.offset.add_incoming(_WORD(0), entry)
        return self.offset

    def __exit__(self, *_):
        following = self.builder.add(self.offset, _WORD(self.step))
        self.offset.add_incoming(following, self.builder.block)
        more = self.builder.icmp_signed("<", following, self.end)
        self.builder.cbranch(more, self.body, self.done)
        self.builder.position_at_end(self.done)
