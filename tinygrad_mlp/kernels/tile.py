"""The micro-kernel of the matrix product: one tile of C held in registers, built as LLVM vectors.

    C[r, j] = init[r, j] + sum over k of A[r, k] * B[k, j]      r < rows, j < vectors * lanes

For each k it loads ``vectors`` vectors of a packed row of B, broadcasts one element of each row of
A, and issues ``rows * vectors`` fused multiply-adds: 12 x 2 vectors of 16 floats fill 24 of the 32
registers of AVX-512, and 24 independent chains hide the 4 to 5 cycles each multiply-add takes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WORD, _INDEX, _POINTER = ir.IntType(64), ir.IntType(32), ir.PointerType()


@dataclass(frozen=True)
class Shape:
    """A tile: rows of C, vectors in a row, lanes of a vector, whether the machine fuses a*b+c."""

    rows: int
    vectors: int
    lanes: int
    fused: bool

    @property
    def columns(self) -> int:
        """Columns of C in a tile."""
        return self.vectors * self.lanes


@functools.cache
def host() -> str:
    """The widest vector unit of this machine: avx512, avx2, neon or plain."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return "avx512"
    if features.get("avx2") and features.get("fma"):
        return "avx2"
    return "neon" if features.get("neon") else "plain"


def shape(unit: str, itemsize: int) -> Shape:
    """The tile that fits a vector unit's registers (32 of 64 bytes, 16 of 32, 32 of 16)."""
    rows, vectors, width, fused = {
        "avx512": (12, 2, 64, True),
        "avx2": (6, 2, 32, True),
        "neon": (8, 2, 16, True),
        "plain": (4, 2, 16, False),
    }[unit]
    return Shape(rows, vectors, width // itemsize, fused)


@intrinsic(prefer_literal=True)
def multiply_tile(typingctx, real, rows, vectors, lanes, fused, depth, a, a_row, a_col, b, c, c_row,
                  init, init_row):  # fmt: skip
    """Compute one tile; all strides in bytes, B packed as ``depth`` rows of ``vectors * lanes``."""
    signature = types.void(real, rows, vectors, lanes, fused, *[types.int64] * 9)
    kind = real.dtype
    R, V, L = rows.literal_value, vectors.literal_value, lanes.literal_value
    contract = bool(fused.literal_value)

    def codegen(context, builder, signature, values):
        element = context.get_value_type(kind)
        tile = _Tile(builder, element, kind.bitwidth // 8, R, V, L, contract)
        tile.build(*values[5:])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def transpose_block(typingctx, real, lanes, source, source_row, target, target_row):
    """Copy a square block of ``lanes`` x ``lanes`` elements, transposed; strides in bytes.

    A perfect shuffle of the rows, log2(lanes) times: row i is interleaved with row i + lanes/2.
    """
    signature = types.void(real, lanes, *[types.int64] * 4)
    kind, L = real.dtype, lanes.literal_value

    def codegen(context, builder, signature, values):
        _, _, source, source_row, target, target_row = values
        vector = ir.VectorType(context.get_value_type(kind), L)
        size = kind.bitwidth // 8
        rows = [
            _load(builder, builder.add(source, builder.mul(source_row, _WORD(i))), vector, size)
            for i in range(L)
        ]
        low = [i // 2 + L * (i % 2) for i in range(L)]
        high = [i + L // 2 for i in low]
        for _ in range(L.bit_length() - 1):
            pairs = [(rows[i], rows[i + L // 2]) for i in range(L // 2)]
            rows = [
                builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_INDEX, L), mask))
                for x, y in pairs
                for mask in (low, high)
            ]
        for i, row in enumerate(rows):
            _store(builder, row, builder.add(target, builder.mul(target_row, _WORD(i))), size)
        return context.get_dummy_value()

    return signature, codegen


def _load(builder, address, kind, align):
    value = builder.load(builder.inttoptr(address, _POINTER), typ=kind)
    value.align = align
    return value


def _store(builder, value, address, align):
    builder.store(value, builder.inttoptr(address, _POINTER)).align = align


class _Tile:
    """Emits the loop over k with the tile's accumulators as its phi nodes."""

    def __init__(self, builder, element, size, rows, vectors, lanes, fused):
        self.builder, self.element, self.size = builder, element, size
        self.rows, self.vectors, self.lanes, self.fused = rows, vectors, lanes, fused
        self.vector = ir.VectorType(element, lanes)
        self.places = [(r, v) for r in range(rows) for v in range(vectors)]

    def build(self, depth, a, a_row, a_col, b, c, c_row, init, init_row):
        builder = self.builder
        starts = {p: _load(builder, self.at(init, init_row, *p), self.vector, self.size)
                  for p in self.places}  # fmt: skip
        row_at = [builder.add(a, builder.mul(a_row, _WORD(r))) for r in range(self.rows)]
        entry, loop, done = (builder.block, builder.append_basic_block("tile.k"),
                             builder.append_basic_block("tile.done"))  # fmt: skip
        builder.cbranch(builder.icmp_signed(">", depth, _WORD(0)), loop, done)

        builder.position_at_end(loop)
        k, a_offset, b_at = (builder.phi(_WORD) for _ in range(3))
        sums = {p: builder.phi(self.vector) for p in self.places}
        panel = [
            _load(
                builder,
                builder.add(b_at, _WORD(v * self.lanes * self.size)),
                self.vector,
                self.size,
            )
            for v in range(self.vectors)
        ]
        after = {}
        for r in range(self.rows):
            spread = self.spread(
                _load(builder, builder.add(row_at[r], a_offset), self.element, self.size)
            )
            for v in range(self.vectors):
                after[r, v] = self.multiply_add(spread, panel[v], sums[r, v])
        step = self.vectors * self.lanes * self.size
        steps = [(k, _WORD(0), _WORD(1)), (a_offset, _WORD(0), a_col), (b_at, b, _WORD(step))]
        for phi, first, by in steps:
            phi.add_incoming(first, entry)
            phi.add_incoming(builder.add(phi, by), loop)
        for p in self.places:
            sums[p].add_incoming(starts[p], entry)
            sums[p].add_incoming(after[p], loop)
        more = builder.icmp_signed("<", builder.add(k, _WORD(1)), depth)
        builder.cbranch(more, loop, done)

        builder.position_at_end(done)
        results = {p: builder.phi(self.vector) for p in self.places}
        for p in self.places:
            results[p].add_incoming(starts[p], entry)
            results[p].add_incoming(after[p], loop)
        for p in self.places:
            _store(builder, results[p], self.at(c, c_row, *p), self.size)

    def at(self, base, row_stride, row, vector):
        """The address of one vector of a tile in memory."""
        offset = self.builder.mul(row_stride, _WORD(row))
        column = _WORD(vector * self.lanes * self.size)
        return self.builder.add(self.builder.add(base, offset), column)

    def spread(self, element):
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(nothing, element, _INDEX(0))
        return self.builder.shuffle_vector(
            first, nothing, ir.Constant(ir.VectorType(_INDEX, self.lanes), [0] * self.lanes)
        )

    def multiply_add(self, x, y, z):
        if not self.fused:
            return self.builder.fadd(self.builder.fmul(x, y), z)
        name = f"llvm.fma.v{self.lanes}f{self.size * 8}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [x, y, z])
