"""Explicit LLVM vectors, in which the micro-kernels of the matrix product are written."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from llvmlite import ir
from numba import types

from ..codegen.target import features, fma
from ..runtime.llvm import WORD, call

_INDEX, _POINTER = ir.IntType(32), ir.PointerType()


@dataclass(frozen=True)
class Unit:
    """A vector unit: bytes of a register, the number of registers, and the tile of C.

    The tile fills the registers: 12 x 2 vectors are 24 of the 32 of AVX-512, and 24 independent
    sums hide the 4 to 5 cycles that each multiply-add takes.
    """

    width: int
    registers: int
    rows: tuple[int, ...]  # heights of a tile, the largest first
    vectors: int = 2  # in a row of it

    def lanes(self, item: int) -> int:
        """Return the number of elements of ``item`` bytes in a register."""
        return self.width // item

    def columns(self, item: int) -> int:
        """Return the number of columns of a tile."""
        return self.vectors * self.lanes(item)


UNITS = {
    "avx512": Unit(64, 32, (12, 8, 4, 3, 2, 1)),
    "avx2": Unit(32, 16, (6, 4, 3, 2, 1)),
    "neon": Unit(16, 32, (8, 4, 3, 2, 1)),
    "plain": Unit(16, 16, (4, 3, 2, 1)),
}


@functools.cache
def host() -> str:
    """Return the widest vector unit of the processor compiled for: avx512, avx2, neon or plain."""
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
        self.type = ir.VectorType(self.element, self.lanes)
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)
        self._suffix = f"v{self.lanes}f{self.size * 8}.p0"

    def load(self, address, type_=None):
        """Load a vector (or a value of ``type_``) from an address, aligned to its elements."""
        value = self.builder.load(self._pointer(address), typ=type_ or self.type)
        value.align = self.size
        return value

    def store(self, value, address):
        """Store a vector at an address."""
        self.builder.store(value, self._pointer(address)).align = self.size

    def prefetch(self, address):
        """Prefetch the cache line of an address; any address is valid."""
        read, near, data = _INDEX(0), _INDEX(3), _INDEX(1)
        pointer = self._pointer(address)
        call(self.builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, near, data)

    def mask(self, count):
        """Return the mask of the first ``count`` lanes, an int64."""
        integers = ir.VectorType(_INDEX, self.lanes)
        numbers = ir.Constant(integers, list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self._spread(self._clip(count), integers))

    def load_masked(self, address, mask):
        """Load the lanes of a mask, zeros in the others; their memory is not read."""
        arguments = self._pointer(address), _INDEX(self.size), mask, self.zero
        return call(self.builder, f"llvm.masked.load.{self._suffix}", self.type, *arguments)

    def store_masked(self, value, address, mask):
        """Store the lanes of a mask; the memory of the others is not written."""
        arguments = value, self._pointer(address), _INDEX(self.size), mask
        call(self.builder, f"llvm.masked.store.{self._suffix}", ir.VoidType(), *arguments)

    def spread(self, address):
        """Load the element at an address into every lane."""
        return self._spread(self.load(address, self.element), self.type)

    def multiply_add(self, x, y, z):
        """Compute x * y + z, rounded once."""
        return fma(self.builder, x, y, z)

    def shuffle(self, x, y, indices):
        """Return the lanes at ``indices`` of x and y concatenated."""
        return self.builder.shuffle_vector(
            x, y, ir.Constant(ir.VectorType(_INDEX, len(indices)), indices)
        )

    def clamped_steps(self, base, stride, count, most):
        """Return ``most`` addresses, ``stride`` apart; from the ``count``-th on, the last one."""
        last, addresses = self.builder.sub(count, WORD(1)), []
        for i in range(most):
            inside = self.builder.icmp_signed("<", WORD(i), last)
            step = self.builder.mul(stride, self.builder.select(inside, WORD(i), last))
            addresses.append(self.builder.add(base, step))
        return addresses

    def _spread(self, element, type_):
        undefined = ir.Constant(type_, ir.Undefined)
        first = self.builder.insert_element(undefined, element, _INDEX(0))
        return self.shuffle(first, undefined, [0] * type_.count)

    def _clip(self, count):
        """Clip a number of lanes to the range from 0 to all, as an int32."""
        word = count.type
        low = self.builder.icmp_signed("<", count, word(0))
        high = self.builder.icmp_signed(">", count, word(self.lanes))
        clipped = self.builder.select(high, word(self.lanes), count)
        return self.builder.trunc(self.builder.select(low, word(0), clipped), _INDEX)

    def _pointer(self, address):
        return self.builder.inttoptr(address, _POINTER)


def vectors_of(context, builder, signature) -> Vectors:
    """Return the `Vectors` of an intrinsic whose arguments begin with a dtype and a unit."""
    real, unit = signature.args[:2]
    return Vectors(context, builder, real.dtype, UNITS[unit.literal_value])


def takes_addresses(count: int):
    """Return the typing of an intrinsic of a dtype, a unit's name and ``count`` int64 words."""
    return lambda real, unit, *_: types.void(real, unit, *[types.int64] * count)
