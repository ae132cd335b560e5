"""The micro-kernel of the matrix product: one tile of C held in registers.

    C[r, j] = init[r, j] + sum over k of A[r, k] * B[k, j]      r < rows, j < columns

For each k it loads a row of B (one or two vectors), broadcasts one element of each row of A to a
vector, and issues a multiply-add for each. The sums stay in registers until k is done.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .vectors import UNITS, Vectors

_WORD = ir.IntType(64)


class Operands(NamedTuple):
    """The operands of a tile, int64 each; all strides in bytes.

    Elements of a row of B, of C and of ``init`` are contiguous, and rows of B must be readable to
    the end of the tile's last vector. ``columns`` beyond the width of a tile count as that width.
    Each step along k prefetches a cache line: the one at ``ahead``, then those ``ahead_row`` bytes
    further each. With ``ahead_row`` 0 it is one line again and again, at next to no cost.
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


@intrinsic(prefer_literal=True)
def multiply_tile(typingctx, real, unit, rows, operands):
    """Compute one tile of ``rows`` rows, one of the unit's heights, on a tuple of `Operands`."""
    signature = types.void(real, unit, types.int64, operands)
    tile_unit = UNITS[unit.literal_value]

    def codegen(context, builder, signature, values):
        unpacked = Operands(*cgutils.unpack_tuple(builder, values[3]))
        _emit(Vectors(context, builder, real.dtype, tile_unit), values[2], unpacked)
        return context.get_dummy_value()

    return signature, codegen


def _emit(vectors: Vectors, rows, operands):
    """Emit a body for each height and number of vectors, and the switch between them."""
    builder, unit = vectors.builder, vectors.unit
    narrow = builder.icmp_signed("<=", operands.columns, _WORD(vectors.lanes))
    count = builder.select(narrow, _WORD(1), _WORD(unit.vectors))
    chosen = builder.add(builder.mul(rows, _WORD(unit.vectors)), count)
    done = builder.append_basic_block("tile.end")
    switch = builder.switch(chosen, done)
    for height in unit.rows:
        for width in range(1, unit.vectors + 1):
            block = builder.append_basic_block(f"tile.{height}x{width}")
            switch.add_case(_WORD(height * unit.vectors + width), block)
            builder.position_at_end(block)
            _Tile(vectors, height, width, operands).build()
            builder.branch(done)
    builder.position_at_end(done)


class _Tile:
    """Emits one body: the loop over k with the tile's sums as its phi nodes."""

    def __init__(self, vectors, rows, width, operands):
        self.vectors, self.builder, self.width = vectors, vectors.builder, width
        self.args = operands
        self.row_at = [
            self.builder.add(operands.a, self.times(operands.a_row, r)) for r in range(rows)
        ]
        self.places = [(r, v) for r in range(rows) for v in range(width)]

    def build(self):
        full = self.builder.icmp_signed(
            ">=", self.args.columns, _WORD(self.width * self.vectors.lanes)
        )
        starts = self.join(full, self.starts, self.starts_masked)
        sums = self.sum(starts)
        self.join(full, lambda: self.store(sums), lambda: self.store_masked(sums))

    def sum(self, starts):
        """The loop over k."""
        builder, entry = self.builder, self.builder.block
        loop, done = builder.append_basic_block("tile.k"), builder.append_basic_block("tile.sum")
        builder.cbranch(builder.icmp_signed(">", self.args.depth, _WORD(0)), loop, done)
        builder.position_at_end(loop)
        k, a_offset, b_at, ahead = (builder.phi(_WORD) for _ in range(4))
        sums = [builder.phi(self.vectors.kind) for _ in self.places]
        self.vectors.prefetch(ahead)
        panel = [self.vectors.load(self.column(b_at, v)) for v in range(self.width)]
        spread = [self.vectors.spread(builder.add(at, a_offset)) for at in self.row_at]
        after = [
            self.vectors.multiply_add(spread[r], panel[v], before)
            for (r, v), before in zip(self.places, sums, strict=True)
        ]
        for phi, first, by in (
            (k, _WORD(0), _WORD(1)),
            (a_offset, _WORD(0), self.args.a_col),
            (b_at, self.args.b, self.args.b_row),
            (ahead, self.args.ahead, self.args.ahead_row),
        ):
            phi.add_incoming(first, entry)
            phi.add_incoming(builder.add(phi, by), loop)
        builder.cbranch(
            builder.icmp_signed("<", builder.add(k, _WORD(1)), self.args.depth), loop, done
        )
        builder.position_at_end(done)
        results = [builder.phi(self.vectors.kind) for _ in self.places]
        for phi, result, start, sum_ in zip(sums, results, starts, after, strict=True):
            phi.add_incoming(start, entry)
            phi.add_incoming(sum_, loop)
            result.add_incoming(start, entry)
            result.add_incoming(sum_, loop)
        return results

    def join(self, condition, this, that):
        """Emit two ways and the choice between them; the values they make, joined."""
        builder = self.builder
        yes, no, end = (builder.append_basic_block(f"tile.{n}") for n in ("full", "ragged", "on"))
        builder.cbranch(condition, yes, no)
        made = []
        for block, emit in ((yes, this), (no, that)):
            builder.position_at_end(block)
            made.append((emit() or [], builder.block))
            builder.branch(end)
        builder.position_at_end(end)
        joined = [builder.phi(self.vectors.kind) for _ in made[0][0]]
        for values, block in made:
            for phi, value in zip(joined, values, strict=True):
                phi.add_incoming(value, block)
        return joined

    def starts(self):
        return [
            self.vectors.load(self.at(self.args.init, self.args.init_row, *p)) for p in self.places
        ]

    def starts_masked(self):
        masks = self.masks()
        return [
            self.vectors.load_masked(self.at(self.args.init, self.args.init_row, r, v), masks[v])
            for r, v in self.places
        ]

    def store(self, sums):
        for place, value in zip(self.places, sums, strict=True):
            self.vectors.store(value, self.at(self.args.c, self.args.c_row, *place))

    def store_masked(self, sums):
        masks = self.masks()
        for (r, v), value in zip(self.places, sums, strict=True):
            self.vectors.store_masked(value, self.at(self.args.c, self.args.c_row, r, v), masks[v])

    def masks(self):
        """The columns of each vector of a ragged tile."""
        return [
            self.vectors.mask(self.builder.sub(self.args.columns, _WORD(v * self.vectors.lanes)))
            for v in range(self.width)
        ]

    def at(self, base, row_stride, row, vector):
        """The address of one vector of a tile in memory."""
        return self.column(self.builder.add(base, self.times(row_stride, row)), vector)

    def column(self, row, vector):
        return self.builder.add(row, _WORD(vector * self.vectors.lanes * self.vectors.size))

    def times(self, stride, count):
        return self.builder.mul(stride, _WORD(count))
