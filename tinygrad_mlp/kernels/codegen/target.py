"""The processor that Numba compiles for, and a * b + c rounded once on every one.

Numba compiles for the machine it runs on, or for what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say.
It keeps the machine code of each processor apart, by name and features.
"""

from __future__ import annotations

import functools

from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target


@functools.cache
def features() -> frozenset[str]:
    """The features that Numba compiles for, by LLVM's names; none but a name's own if not said."""
    triple, _, listed = cpu_target.target_context.codegen().magic_tuple()
    own = {"neon"} if triple.startswith(("aarch64", "arm64")) else set()
    return frozenset(own.union(each[1:] for each in listed.split(",") if each[:1] == "+"))


def fuses() -> bool:
    """Whether a * b + c is an instruction."""
    return not features().isdisjoint({"fma", "avx512f", "neon"})


def like(kind, element):
    """The type of ``element``, or of as many as the vector type ``kind`` has."""
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element


def constant(kind, value):
    """A constant of a type, in every lane of a vector."""
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def fma(builder, a, b, c):
    """a * b + c rounded once, of floats or vectors. Without the instruction it is slow."""
    single = like(a.type, ir.FloatType()) == a.type
    if single and not fuses():
        return _by_wider(builder, a, b, c)
    bits = 32 if single else 64
    name = f"v{a.type.count}f{bits}" if isinstance(a.type, ir.VectorType) else f"f{bits}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(a.type, [a.type] * 3), f"llvm.fma.{name}"
    )
    return builder.call(function, [a, b, c])


def _by_wider(builder, a, b, c):
    """The same in float32, by way of float64.

    There the product is exact, and the sum is rounded to odd: it is cut off, and its last bit set
    if anything was lost. So the second rounding, to float32, is that of the exact result
    (S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
    using rounding to odd", IEEE Transactions on Computers 57, 2008).
    """
    wide, word = like(a.type, ir.DoubleType()), like(a.type, ir.IntType(64))
    x, y, z = (builder.fpext(each, wide) for each in (a, b, c))
    product = builder.fmul(x, y)
    total = builder.fadd(product, z)
    added = builder.fsub(total, product)
    lost = builder.fadd(
        builder.fsub(product, builder.fsub(total, added)), builder.fsub(z, added)
    )  # exactly: D. E. Knuth, The Art of Computer Programming 2, section 4.2.2
    bits = builder.bitcast(total, word)
    opposite = builder.lshr(builder.xor(bits, builder.bitcast(lost, word)), constant(word, 63))
    inexact = builder.zext(builder.fcmp_ordered("!=", lost, constant(wide, 0.0)), word)
    cut_off = builder.sub(bits, builder.and_(opposite, inexact))
    return builder.fptrunc(builder.bitcast(builder.or_(cut_off, inexact), wide), a.type)
