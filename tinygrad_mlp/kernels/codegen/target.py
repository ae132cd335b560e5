"""The processor that Numba compiles for, and fused multiply-add on every processor.

Numba compiles for the machine it runs on, or for the one that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES
name. Its cache keeps the machine code of each processor, by name and features, separate.
"""

from __future__ import annotations

import functools

from llvmlite import ir
from numba.core.registry import cpu_target

from ..runtime.llvm import call


@functools.cache
def features() -> frozenset[str]:
    """Return the features that Numba compiles for, by LLVM's names."""
    triple, _, listed = cpu_target.target_context.codegen().magic_tuple()
    own = {"neon"} if triple.startswith(("aarch64", "arm64")) else set()
    return frozenset(own.union(each[1:] for each in listed.split(",") if each[:1] == "+"))


def fuses() -> bool:
    """Return whether there is an instruction for a fused multiply-add."""
    return not features().isdisjoint({"fma", "avx512f", "neon"})


def like(type_, element):
    """Return the type ``element``, or a vector of it as long as the vector type ``type_``."""
    return ir.VectorType(element, type_.count) if isinstance(type_, ir.VectorType) else element


def constant(type_, value):
    """Return a constant of a type, broadcast to a vector type."""
    return ir.Constant(type_, [value] * type_.count if isinstance(type_, ir.VectorType) else value)


def fma(builder, a, b, c):
    """Emit a * b + c, rounded once, on floats or vectors; slow where there is no instruction."""
    single = like(a.type, ir.FloatType()) == a.type
    if single and not fuses():
        return _by_wider(builder, a, b, c)
    bits = 32 if single else 64
    name = f"v{a.type.count}f{bits}" if isinstance(a.type, ir.VectorType) else f"f{bits}"
    return call(builder, f"llvm.fma.{name}", a.type, a, b, c)


def _by_wider(builder, a, b, c):
    """Emit a float32 fused multiply-add computed in float64.

    In float64 the product is exact. The sum is rounded to odd: truncated, with the last bit set if
    anything was lost. The second rounding, to float32, is then that of the exact result
    (S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
    using rounding to odd", IEEE Transactions on Computers 57, 2008).
    """
    wide, word = like(a.type, ir.DoubleType()), like(a.type, ir.IntType(64))
    x, y, z = (builder.fpext(each, wide) for each in (a, b, c))
    product = builder.fmul(x, y)
    total = builder.fadd(product, z)
    added = builder.fsub(total, product)
    # Exactly: D. E. Knuth, The Art of Computer Programming 2, section 4.2.2.
    remainder = builder.fsub(product, builder.fsub(total, added))
    lost = builder.fadd(remainder, builder.fsub(z, added))
    bits = builder.bitcast(total, word)
    opposite = builder.lshr(builder.xor(bits, builder.bitcast(lost, word)), constant(word, 63))
    inexact = builder.zext(builder.fcmp_ordered("!=", lost, constant(wide, 0.0)), word)
    cut_off = builder.sub(bits, builder.and_(opposite, inexact))
    return builder.fptrunc(builder.bitcast(builder.or_(cut_off, inexact), wide), a.type)
