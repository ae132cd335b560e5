"""Copies of blocks of the operands, laid out as the micro-kernels read them."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vectors import UNITS, Vectors

_WORD = ir.IntType(64)


@intrinsic(prefer_literal=True)
def copy_row(typingctx, real, unit, source, target, columns):
    """Copy up to one vector of neighbours, zeros behind them: the memory there is not read."""
    signature = types.void(real, unit, *[types.int64] * 3)

    def codegen(context, builder, signature, values):
        _, _, source, target, columns = values
        vectors = Vectors(context, builder, real.dtype, UNITS[unit.literal_value])
        vectors.store(vectors.load_masked(source, vectors.mask(columns)), target)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def copy_tile_row(typingctx, real, unit, source, target):
    """Copy as many neighbours as a tile is wide."""
    signature = types.void(real, unit, types.int64, types.int64)

    def codegen(context, builder, signature, values):
        _, _, source, target = values
        unit_of = UNITS[unit.literal_value]
        vectors = Vectors(context, builder, real.dtype, unit_of)
        for v in range(unit_of.vectors):
            further = _WORD(v * vectors.lanes * vectors.size)
            vector = vectors.load(builder.add(source, further))
            vectors.store(vector, builder.add(target, further))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def transpose_block(typingctx, real, unit, source, source_row, rows, columns, target, target_row):
    """Copy a square block as wide as a vector, transposed; strides in bytes.

    ``rows`` and ``columns`` of the source are there; what stands for the others does not matter:
    its last row is repeated, and zeros are behind its last column.

    A perfect shuffle of the rows, log2(lanes) times: row i is interleaved with row i + lanes/2.
    """
    signature = types.void(real, unit, *[types.int64] * 6)

    def codegen(context, builder, signature, values):
        _, _, source, source_row, rows, columns, target, target_row = values
        vectors = Vectors(context, builder, real.dtype, UNITS[unit.literal_value])
        lanes, mask = vectors.lanes, vectors.mask(columns)
        last = builder.sub(rows, _WORD(1))
        block = []
        for i in range(lanes):
            inside = builder.icmp_signed("<", _WORD(i), last)
            row = builder.mul(source_row, builder.select(inside, _WORD(i), last))
            block.append(vectors.load_masked(builder.add(source, row), mask))
        for _ in range(lanes.bit_length() - 1):
            block = [
                vectors.shuffle(block[i], block[i + lanes // 2], places)
                for i in range(lanes // 2)
                for places in _perfect_shuffle(lanes)
            ]
        for i, row in enumerate(block):
            vectors.store(row, builder.add(target, builder.mul(target_row, _WORD(i))))
        return context.get_dummy_value()

    return signature, codegen


def _perfect_shuffle(lanes: int) -> tuple[list[int], list[int]]:
    """The lanes of two vectors, alternating: of their first halves, and of their second."""
    low = [i // 2 + lanes * (i % 2) for i in range(lanes)]
    return low, [place + lanes // 2 for place in low]
