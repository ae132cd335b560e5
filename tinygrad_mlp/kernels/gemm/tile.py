"""The micro-kernel of the matrix product: one tile of C held in registers.

    C[r, j] = init[r, j] + sum over k of A[r, k] * B[k, j]      r < rows, j < columns

For each k it loads a row of B (one or two vectors), broadcasts one element of each row of A to a
vector, and issues a multiply-add for each. The sums stay in registers until k is done.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types
from numba.core import cgutils

from ..runtime.llvm import WORD, emits, loop, merge
from .vectors import Vectors, vectors_of


class Operands(NamedTuple):
    """The operands of a tile, int64 each; all strides in bytes.

    Elements of a row of B, of C and of ``init`` are contiguous, and rows of B must be readable to
    the end of the tile's last vector. ``columns`` beyond the width of a tile count as that width.
    Each step along k prefetches a cache line: the one at ``ahead``, then those ``ahead_row`` bytes
    further each. With ``ahead_row`` 0 it is the same line each time, which costs almost nothing.
    """

    columns: Any
    depth: Any
    a: Any
    a_row: Any
    a_col: Any
    b: Any
    b_row: Any
    c: Any
    c_row: Any
    init: Any
    init_row: Any
    ahead: Any
    ahead_row: Any


@emits(
    lambda real, unit, rows, operands: types.void(real, unit, types.int64, operands), literal=True
)
def multiply_tile(context, builder, signature, real, unit, rows, operands):
    """Compute one tile of ``rows`` rows, one of the unit's heights, on a tuple of `Operands`."""
    vectors = vectors_of(context, builder, signature)
    _emit(vectors, rows, Operands(*cgutils.unpack_tuple(builder, operands)))


def _emit(vectors: Vectors, rows, operands):
    """Emit a body for each height and number of vectors, and the switch between them."""
    builder, unit = vectors.builder, vectors.unit
    narrow = builder.icmp_signed("<=", operands.columns, WORD(vectors.lanes))
    count = builder.select(narrow, WORD(1), WORD(unit.vectors))
    chosen = builder.add(builder.mul(rows, WORD(unit.vectors)), count)
    done = builder.append_basic_block("tile.end")
    switch = builder.switch(chosen, done)
    for height in unit.rows:
        for width in range(1, unit.vectors + 1):
            block = builder.append_basic_block(f"tile.{height}x{width}")
            switch.add_case(WORD(height * unit.vectors + width), block)
            builder.position_at_end(block)
            _Tile(vectors, height, width, operands).build()
            builder.branch(done)
    builder.position_at_end(done)


class _Tile:
    """Emits one body: the loop over k with the tile's sums as its phi nodes."""

    def __init__(self, vectors, rows, width, operands):
        self.vectors, self.builder, self.width = vectors, vectors.builder, width
        self.args = operands
        self.cells = [(r, v) for r in range(rows) for v in range(width)]  # row, vector
        self.a_rows = [self.at(operands.a, operands.a_row, r) for r in range(rows)]

    def build(self):
        vectors, args = self.vectors, self.args
        full = self.builder.icmp_signed(">=", args.columns, WORD(self.width * vectors.lanes))
        starts = self.branch(
            full,
            lambda: [vectors.load(self.at(args.init, args.init_row, *p)) for p in self.cells],
            self.load_masked,
        )
        sums = self.sum(starts)
        self.branch(full, lambda: self.store(sums), lambda: self.store_masked(sums))

    def sum(self, starts):
        """Emit the loop over k."""
        builder, vectors, args = self.builder, self.vectors, self.args

        def step(k, a_offset, b, ahead, *sums):
            vectors.prefetch(ahead)
            panel = [vectors.load(self.column(b, v)) for v in range(self.width)]
            spread = [vectors.spread(builder.add(row, a_offset)) for row in self.a_rows]
            after = [
                vectors.multiply_add(spread[r], panel[v], before)
                for (r, v), before in zip(self.cells, sums, strict=True)
            ]
            steps = (k, WORD(1)), (a_offset, args.a_col), (b, args.b_row), (ahead, args.ahead_row)
            return [*(builder.add(*pair) for pair in steps), *after]

        starts = [WORD(0), WORD(0), args.b, args.ahead, *starts]
        results = loop(
            builder, "tile.k", starts, lambda k, *_: builder.icmp_signed("<", k, args.depth), step
        )
        return results[4:]

    def branch(self, condition, if_true, if_false):
        """Emit two branches and the choice between them; return their values, merged."""
        emitted = []
        with self.builder.if_else(condition) as branches:
            for branch, emit in zip(branches, (if_true, if_false), strict=True):
                with branch:
                    emitted.append((emit() or [], self.builder.block))
        return merge(self.builder, *emitted)

    def load_masked(self):
        masks, init = self.masks(), (self.args.init, self.args.init_row)
        return [self.vectors.load_masked(self.at(*init, r, v), masks[v]) for r, v in self.cells]

    def store(self, sums):
        for cell, value in zip(self.cells, sums, strict=True):
            self.vectors.store(value, self.at(self.args.c, self.args.c_row, *cell))

    def store_masked(self, sums):
        masks = self.masks()
        for (r, v), value in zip(self.cells, sums, strict=True):
            self.vectors.store_masked(value, self.at(self.args.c, self.args.c_row, r, v), masks[v])

    def masks(self):
        """Return the mask of each vector of a ragged tile."""
        lanes, columns = self.vectors.lanes, self.args.columns
        counts = [self.builder.sub(columns, WORD(v * lanes)) for v in range(self.width)]
        return [self.vectors.mask(count) for count in counts]

    def at(self, base, row_stride, row, vector=0):
        """Return the address of one vector of a tile in memory."""
        row_start = self.builder.add(base, self.builder.mul(row_stride, WORD(row)))
        return self.column(row_start, vector)

    def column(self, row_start, vector):
        return self.builder.add(row_start, WORD(vector * self.vectors.lanes * self.vectors.size))
