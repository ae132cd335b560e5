"""What the functions of this folder are made of: floats as bits, fused multiply-adds, polynomials.

A function of this folder is a Python function of scalars without a branch or a call that is left
when LLVM has inlined everything: then the loop around it runs in vector lanes. It is made once for
each format, by a factory that `for_each_format` calls with the Numba type of the argument.

A float of p + 1 significant bits holds its exponent, biased, above the p bits of its fraction.
Adding ``SHIFTER`` = 1.5 * 2^p + bias rounds a small float to an integer k and leaves k + bias in
the lowest bits of the sum: moved up by p they are the float 2^k.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ..codegen.lanes import Lanes, in_lanes
from ..codegen.target import constant, fma, like


@dataclass(frozen=True)
class Format:
    """A binary format of IEEE 754."""

    real: type  # makes a constant of this format
    fraction: int  # bits of the fraction
    bias: int  # of the exponent

    @property
    def shifter(self) -> np.floating:
        """What rounds to an integer when it is added, and leaves it biased in the lowest bits."""
        return self.real(1.5 * 2**self.fraction + self.bias)


FORMATS = MappingProxyType(
    {types.float32: Format(np.float32, 23, 127), types.float64: Format(np.float64, 52, 1023)}
)


def for_each_format(make: Callable) -> Callable:
    """Turn a factory, from the types of the arguments to scalar code, into a function of kernels.

    LLVM is told to inline it wherever it is called, and no division checks for zero. Of `Lanes` it
    is the same code; what is not for them is no operation of theirs.
    """

    @functools.wraps(make)
    def function(*arguments):
        raise NotImplementedError(f"{make.__name__} runs in kernels only")

    @functools.wraps(make)
    def of_kinds(*arguments):
        kinds = [each.real if isinstance(each, Lanes) else each for each in arguments]
        return make(*kinds)

    overload(function, jit_options={"forceinline": True, "error_model": "numpy"})(of_kinds)
    return function


@intrinsic
def multiply_add(typingctx, a, b, c):
    """a * b + c rounded once, on any machine; of floats, or `Lanes` and floats."""

    def codegen(context, builder, signature, values):
        return fma(builder, *(_as_many(builder, values[0], each) for each in values))

    return a(a, b, c), codegen


def _as_many(builder, value, other):
    """``other`` in as many lanes as ``value`` has."""
    return in_lanes(builder, other) if isinstance(value.type, ir.VectorType) else other


@intrinsic
def polynomial(typingctx, x, coefficients):
    """c[0] + c[1] x + c[2] x^2 + ..., even and odd powers apart, each by Horner's rule in x^2.

    The two chains run beside each other: one alone would wait for each of its additions.
    """

    def codegen(context, builder, signature, values):
        x, packed = values
        terms = [
            _as_many(builder, x, builder.extract_value(packed, i))
            for i in range(coefficients.count)
        ]
        if len(terms) < 8:
            return _horner(builder, x, terms)
        square = builder.fmul(x, x)
        even, odd = (_horner(builder, square, terms[start::2]) for start in (0, 1))
        return fma(builder, odd, x, even)

    return x(x, coefficients), codegen


def _horner(builder, x, terms):
    *rest, total = terms
    for term in reversed(rest):
        total = fma(builder, total, x, term)
    return total


def _integers(value):
    """The LLVM integer type as wide as a float, and the bits of its fraction; so of lanes."""
    single = like(value.type, ir.FloatType()) == value.type
    return like(value.type, ir.IntType(32 if single else 64)), 23 if single else 52


@intrinsic
def two_to(typingctx, shifted):
    """2^k where ``shifted`` is k + SHIFTER; -bias < k <= bias."""

    def codegen(context, builder, signature, values):
        word, fraction = _integers(values[0])
        moved = builder.shl(builder.bitcast(values[0], word), constant(word, fraction))
        return builder.bitcast(moved, values[0].type)

    return shifted(shifted), codegen


@intrinsic
def clamp(typingctx, x, least, most):
    """x, but at least ``least`` and at most ``most``; NaN stays."""

    def codegen(context, builder, signature, values):
        x, least, most = (_as_many(builder, values[0], each) for each in values)
        x = builder.select(builder.fcmp_ordered("<", x, least), least, x)
        return builder.select(builder.fcmp_ordered(">", x, most), most, x)

    return x(x, least, most), codegen


@intrinsic
def split(typingctx, x, least):
    """k and m, of x = 2^k m with ``least`` <= m < 2 ``least``, for a normal x > 0.

    k comes in units of 2^-fraction, as it stands in the bits: what it is multiplied by anyway can
    be scaled for nothing.
    """

    def codegen(context, builder, signature, values):
        x, least = values
        word, fraction = _integers(x)
        bits = builder.bitcast(x, word)
        steps = builder.sub(bits, builder.bitcast(least, word))
        whole = builder.and_(steps, word(-1 << fraction))
        m = builder.bitcast(builder.sub(bits, whole), x.type)
        k = builder.sitofp(whole, x.type)
        return context.make_tuple(builder, signature.return_type, [k, m])

    return types.UniTuple(x, 2)(x, least), codegen


@intrinsic
def with_sign(typingctx, magnitude, sign):
    """``magnitude`` with the sign of ``sign``, that of -0 and NaN too."""

    def codegen(context, builder, signature, values):
        name = "llvm.copysign.f32" if magnitude == types.float32 else "llvm.copysign.f64"
        kind = values[0].type
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind, kind]), name
        )
        return builder.call(function, values)

    return magnitude(magnitude, sign), codegen


@intrinsic
def word(typingctx, x):
    """The bits of x as an integer."""
    kind = types.int32 if x == types.float32 else types.int64

    def codegen(context, builder, signature, values):
        return builder.bitcast(values[0], _integers(values[0])[0])

    return kind(x), codegen


@intrinsic
def exponent(typingctx, x):
    """The e of 2^e <= abs(x) < 2^(e+1); -bias for 0 and subnormals."""
    form = FORMATS[x]
    kind = types.int32 if x == types.float32 else types.int64

    def codegen(context, builder, signature, values):
        word, fraction = _integers(values[0])
        bits = builder.shl(builder.bitcast(values[0], word), word(1))
        return builder.sub(builder.lshr(bits, word(fraction + 1)), word(form.bias))

    return kind(x), codegen


@intrinsic
def scaled(typingctx, x, k):
    """x 2^k for an integer k of the width of x, where 2^k is a normal float."""
    form = FORMATS[x]

    def codegen(context, builder, signature, values):
        x, k = values
        word, fraction = _integers(x)
        scale = builder.shl(builder.add(k, word(form.bias)), word(fraction))
        return builder.fmul(x, builder.bitcast(scale, x.type))

    return x(x, k), codegen


def table(values):
    """A function of kernels, from an integer to one of these float64 numbers, 2^b of them.

    A tree of selects by the b lowest bits of the integer: LLVM does not run a loop in vector lanes
    that loads from places it cannot tell apart from those it stores to.
    """

    @intrinsic
    def look_up(typingctx, index):
        def codegen(context, builder, signature, arguments):
            index, left = arguments[0], [ir.DoubleType()(value) for value in values]
            bit = 1
            while len(left) > 1:
                odd = builder.icmp_signed("!=", builder.and_(index, index.type(bit)), index.type(0))
                left = [
                    builder.select(odd, *pair) for pair in zip(left[1::2], left[::2], strict=True)
                ]
                bit *= 2
            return left[0]

        return types.float64(index), codegen

    return look_up
