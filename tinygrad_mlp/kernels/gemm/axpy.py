"""The micro-kernel of a row times a matrix: a few rows of B, each times a number, added to a row.

    C[j] = C[j] + A[0] * B[0, j] + A[1] * B[1, j] + ...        (summed from the left)

All of B is read once, in order, several rows at a time: the speed is that of memory. The name is
that of BLAS: a times x plus y.
"""

from __future__ import annotations

from numba import types

from ..runtime.llvm import WORD, emits, loop
from .vectors import vectors_of

TOGETHER = 8  # rows of B that are read at a time
IN_CACHE = 4096  # columns of C, which stay in the L1 cache while rows of B are added to them


@emits(lambda real, unit, rows, *_: types.void(real, unit, rows, *[types.int64] * 6), literal=True)
def add_rows(context, builder, signature, real, unit, rows, columns, a, a_col, b, b_row, c):
    """Add ``rows`` (a literal) rows of B to C, ``columns`` long; strides in bytes."""
    vectors = vectors_of(context, builder, signature)

    def steps(base, stride):
        count = signature.args[2].literal_value
        return [builder.add(base, builder.mul(stride, WORD(i))) for i in range(count)]

    factors, row_starts = [vectors.spread(at) for at in steps(a, a_col)], steps(b, b_row)

    def add(offset, load, store):
        at = builder.add(c, offset)
        total = load(at)
        b_rows = [load(builder.add(start, offset)) for start in row_starts]
        for factor, row in zip(factors, b_rows, strict=True):
            total = vectors.multiply_add(factor, row, total)
        store(total, at)

    def add_vector(offset):
        add(offset, vectors.load, vectors.store)
        return [builder.add(offset, WORD(vectors.lanes * vectors.size))]

    whole = builder.and_(columns, WORD(-vectors.lanes))
    end = builder.mul(whole, WORD(vectors.size))
    loop(builder, "axpy", [WORD(0)], lambda at: builder.icmp_signed("<", at, end), add_vector)
    mask = vectors.mask(builder.sub(columns, whole))
    with builder.if_then(builder.icmp_signed("<", whole, columns)):
        add(
            end,
            lambda at: vectors.load_masked(at, mask),
            lambda total, at: vectors.store_masked(total, at, mask),
        )
