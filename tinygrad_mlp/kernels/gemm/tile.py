"""The micro-kernel of the matrix product: one tile of C held in registers.

    C[r, j] = init[r, j] + sum over k of A[r, k] * B[k, j]      r < rows, j < columns

For each k it loads a row of B (one or two vectors), spreads one element of each row of A over a
vector, and issues a multiply-add for each: the sums never leave the registers until k is done.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vectors import UNITS, Vectors

_WORD = ir.IntType(64)


@intrinsic(prefer_literal=True)
def multiply_tile(
    typingctx,
    real,
    unit,
    rows,
    columns,
    depth,
    a,
    a_row,
    a_col,
    b,
    b_row,
    c,
    c_row,
    init,
    init_row,
    ahead,
    ahead_row,
):
    """Compute one tile; all strides in bytes.

    Each step along k asks for a cache line, to be read later: the one at ``ahead``, then those that
    are one ``ahead_row`` further each. Where nothing is wanted that is one line again and again,
    which costs next to nothing.

    Elements of a row of B, of C and of init are neighbours, and rows of B must be readable to the
    end of the tile's last vector. ``rows`` is one of the unit's heights; ``columns`` beyond its
    width count as that width.
    """
    signature = types.void(real, unit, *[types.int64] * 14)
    tile_unit = UNITS[unit.literal_value]

    def codegen(context, builder, signature, values):
        arguments = dict(zip(_ARGUMENTS, values[3:], strict=True))
        _emit(Vectors(context, builder, real.dtype, tile_unit), values[2], arguments)
        return context.get_dummy_value()

    return signature, codegen


_ARGUMENTS = (
    "columns",
    "depth",
    "a",
    "a_row",
    "a_col",
    "b",
    "b_row",
    "c",
    "c_row",
    "init",
    "init_row",
    "ahead",
    "ahead_row",
)


def _emit(vectors: Vectors, rows, arguments):
    """One body for each height and number of vectors, and the switch that leads to it."""
    builder, unit = vectors.builder, vectors.unit
    narrow = builder.icmp_signed("<=", arguments["columns"], _WORD(vectors.lanes))
    count = builder.select(narrow, _WORD(1), _WORD(unit.vectors))
    chosen = builder.add(builder.mul(rows, _WORD(unit.vectors)), count)
    done = builder.append_basic_block("tile.end")
    switch = builder.switch(chosen, done)
    for height in unit.rows:
        for width in range(1, unit.vectors + 1):
            block = builder.append_basic_block(f"tile.{height}x{width}")
            switch.add_case(_WORD(height * unit.vectors + width), block)
            builder.position_at_end(block)
            _Tile(vectors, height, width, **arguments).build()
            builder.branch(done)
    builder.position_at_end(done)


class _Tile:
    """Emits one body: the loop over k with the tile's sums as its phi nodes."""

    def __init__(
        self,
        vectors,
        rows,
        width,
        *,
        columns,
        depth,
        a,
        a_row,
        a_col,
        b,
        b_row,
        c,
        c_row,
        init,
        init_row,
        ahead,
        ahead_row,
    ):
        self.ahead, self.ahead_row = ahead, ahead_row
        self.vectors, self.builder, self.width, self.columns = (
            vectors,
            vectors.builder,
            width,
            columns,
        )
        self.depth, self.b, self.b_row, self.a_col = depth, b, b_row, a_col
        self.c, self.c_row, self.init, self.init_row = c, c_row, init, init_row
        self.row_at = [self.builder.add(a, self.times(a_row, r)) for r in range(rows)]
        self.places = [(r, v) for r in range(rows) for v in range(width)]

    def build(self):
        full = self.builder.icmp_signed(">=", self.columns, _WORD(self.width * self.vectors.lanes))
        starts = self.join(full, self.starts, self.starts_masked)
        sums = self.sum(starts)
        self.join(full, lambda: self.store(sums), lambda: self.store_masked(sums))

    def sum(self, starts):
        """The loop over k."""
        builder, entry = self.builder, self.builder.block
        loop, done = builder.append_basic_block("tile.k"), builder.append_basic_block("tile.sum")
        builder.cbranch(builder.icmp_signed(">", self.depth, _WORD(0)), loop, done)
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
            (a_offset, _WORD(0), self.a_col),
            (b_at, self.b, self.b_row),
            (ahead, self.ahead, self.ahead_row),
        ):
            phi.add_incoming(first, entry)
            phi.add_incoming(builder.add(phi, by), loop)
        builder.cbranch(builder.icmp_signed("<", builder.add(k, _WORD(1)), self.depth), loop, done)
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
        return [self.vectors.load(self.at(self.init, self.init_row, *p)) for p in self.places]

    def starts_masked(self):
        masks = self.masks()
        return [
            self.vectors.load_masked(self.at(self.init, self.init_row, r, v), masks[v])
            for r, v in self.places
        ]

    def store(self, sums):
        for place, value in zip(self.places, sums, strict=True):
            self.vectors.store(value, self.at(self.c, self.c_row, *place))

    def store_masked(self, sums):
        masks = self.masks()
        for (r, v), value in zip(self.places, sums, strict=True):
            self.vectors.store_masked(value, self.at(self.c, self.c_row, r, v), masks[v])

    def masks(self):
        """The columns of each vector of a ragged tile."""
        return [
            self.vectors.mask(self.builder.sub(self.columns, _WORD(v * self.vectors.lanes)))
            for v in range(self.width)
        ]

    def at(self, base, row_stride, row, vector):
        """The address of one vector of a tile in memory."""
        return self.column(self.builder.add(base, self.times(row_stride, row)), vector)

    def column(self, row, vector):
        return self.builder.add(row, _WORD(vector * self.vectors.lanes * self.vectors.size))

    def times(self, stride, count):
        return self.builder.mul(stride, _WORD(count))
