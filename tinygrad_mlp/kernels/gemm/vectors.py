"""Explicit LLVM vectors: what the micro-kernels of the matrix product are written in."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from llvmlite import ir
from numba.core import cgutils

from ..codegen.target import features, fma

_INDEX, _POINTER = ir.IntType(32), ir.PointerType()


@dataclass(frozen=True)
class Unit:
    """A vector unit: bytes of a register, and the tile of C.

    The tile fills the registers: 12 x 2 vectors are 24 of the 32 of AVX-512, and 24 independent
    sums hide the 4 to 5 cycles that each multiply-add takes.
    """

    width: int
    rows: tuple[int, ...]  # heights of a tile, the largest first
    vectors: int = 2  # in a row of it

    def lanes(self, item: int) -> int:
        """Elements of ``item`` bytes in a register."""
        return self.width // item

    def columns(self, item: int) -> int:
        """Columns of a tile."""
        return self.vectors * self.lanes(item)


UNITS = {
    "avx512": Unit(64, (12, 8, 4, 3, 2, 1)),
    "avx2": Unit(32, (6, 4, 3, 2, 1)),
    "neon": Unit(16, (8, 4, 3, 2, 1)),
    "plain": Unit(16, (4, 3, 2, 1)),
}


@functools.cache
def host() -> str:
    """The widest vector unit of the processor compiled for: avx512, avx2, neon or plain."""
    if "avx512f" in features():
        return "avx512"
    if features() >= {"avx2", "fma"}:
        return "avx2"
    return "neon" if "neon" in features() else "plain"


class Vectors:
    """Emits operations on vectors of ``lanes`` elements of a floating Numba type."""

    def __init__(self, context, builder, real, unit: Unit):
        self.builder, self.unit = builder, unit
        self.element, self.size = context.get_value_type(real), real.bitwidth // 8
        self.lanes = unit.lanes(self.size)
        self.kind = ir.VectorType(self.element, self.lanes)
        self.zero = ir.Constant(self.kind, [0.0] * self.lanes)
        self._name = f"v{self.lanes}f{self.size * 8}"

    def load(self, address, kind=None):
        """The vector (or what ``kind`` says) at an address, aligned to its elements."""
        value = self.builder.load(self._pointer(address), typ=kind or self.kind)
        value.align = self.size
        return value

    def store(self, value, address):
        """Put a vector at an address."""
        self.builder.store(value, self._pointer(address)).align = self.size

    def prefetch(self, address):
        """Ask for the cache line of an address, to be at hand soon; no address is wrong."""
        function = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(ir.VoidType(), [_POINTER, *[_INDEX] * 3]),
            "llvm.prefetch.p0",
        )
        read, near, data = _INDEX(0), _INDEX(3), _INDEX(1)
        self.builder.call(function, [self._pointer(address), read, near, data])

    def mask(self, count):
        """The lanes whose number is less than ``count``, an int64."""
        kind = ir.VectorType(_INDEX, self.lanes)
        numbers = ir.Constant(kind, list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self._spread(self._clip(count), kind))

    def load_masked(self, address, mask):
        """The lanes of a mask; zeros in the others, whose memory is not touched."""
        kinds = [_POINTER, _INDEX, mask.type, self.kind]
        load = self._function("llvm.masked.load", ".p0", self.kind, kinds)
        arguments = [self._pointer(address), _INDEX(self.size), mask, self.zero]
        return self.builder.call(load, arguments)

    def store_masked(self, value, address, mask):
        """Put the lanes of a mask at an address; the memory of the others is not touched."""
        kinds = [self.kind, _POINTER, _INDEX, mask.type]
        store = self._function("llvm.masked.store", ".p0", ir.VoidType(), kinds)
        self.builder.call(store, [value, self._pointer(address), _INDEX(self.size), mask])

    def spread(self, address):
        """The element at an address, in every lane."""
        return self._spread(self.load(address, self.element), self.kind)

    def multiply_add(self, x, y, z):
        """x * y + z, rounded once."""
        return fma(self.builder, x, y, z)

    def shuffle(self, x, y, places):
        """The lanes at ``places`` of x and y, one behind the other."""
        return self.builder.shuffle_vector(
            x, y, ir.Constant(ir.VectorType(_INDEX, len(places)), places)
        )

    def _spread(self, element, kind):
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, element, _INDEX(0))
        return self.shuffle(first, nothing, [0] * kind.count)

    def _clip(self, count):
        """A number of lanes, from 0 to all, as an int32."""
        word = count.type
        low = self.builder.icmp_signed("<", count, word(0))
        high = self.builder.icmp_signed(">", count, word(self.lanes))
        clipped = self.builder.select(high, word(self.lanes), count)
        return self.builder.trunc(self.builder.select(low, word(0), clipped), _INDEX)

    def _pointer(self, address):
        return self.builder.inttoptr(address, _POINTER)

    def _function(self, name, suffix, result, kinds):
        return cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(result, kinds), f"{name}.{self._name}{suffix}"
        )
