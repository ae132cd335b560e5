"""Copies of blocks of the operands, laid out as the micro-kernels read them."""

from __future__ import annotations

from ..runtime.llvm import WORD, emits
from .vectors import takes_addresses, vectors_of


@emits(takes_addresses(3), literal=True)
def copy_row(context, builder, signature, real, unit, source, target, columns):
    """Copy up to one vector of neighbours, followed by zeros; memory behind them is not read."""
    vectors = vectors_of(context, builder, signature)
    vectors.store(vectors.load_masked(source, vectors.mask(columns)), target)


@emits(takes_addresses(2), literal=True)
def copy_tile_row(context, builder, signature, real, unit, source, target):
    """Copy as many neighbours as a tile is wide."""
    vectors = vectors_of(context, builder, signature)
    for v in range(vectors.unit.vectors):
        offset = WORD(v * vectors.lanes * vectors.size)
        vector = vectors.load(builder.add(source, offset))
        vectors.store(vector, builder.add(target, offset))


@emits(takes_addresses(6), literal=True)
def transpose_block(
    context, builder, signature, real, unit, source, source_row, rows, columns, target, target_row
):
    """Copy a square block as wide as a vector, transposed; strides in bytes.

    The source has ``rows`` rows and ``columns`` columns. The rest of the block is filled without
    reading behind them: with copies of the last row, and with zeros behind the last column.

    A perfect shuffle of the rows, log2(lanes) times: row i is interleaved with row i + lanes/2.
    """
    vectors = vectors_of(context, builder, signature)
    lanes, mask = vectors.lanes, vectors.mask(columns)
    addresses = vectors.clamped_steps(source, source_row, rows, lanes)
    block = [vectors.load_masked(address, mask) for address in addresses]
    for _ in range(lanes.bit_length() - 1):
        block = [
            vectors.shuffle(block[i], block[i + lanes // 2], indices)
            for i in range(lanes // 2)
            for indices in _perfect_shuffle(lanes)
        ]
    for i, row in enumerate(block):
        vectors.store(row, builder.add(target, builder.mul(target_row, WORD(i))))


def _perfect_shuffle(lanes: int) -> tuple[list[int], list[int]]:
    """Return two lists of lanes of two vectors, alternating: first halves, then second halves."""
    low = [i // 2 + lanes * (i % 2) for i in range(lanes)]
    return low, [index + lanes // 2 for index in low]
