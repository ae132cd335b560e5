"""The parts of the functions in this folder: floats as bits, fused multiply-adds, polynomials.

A function of this folder is a Python function of scalars. After LLVM has inlined everything, it has
no branch and no call, so the loop around it runs in vector lanes. A factory creates it once for
each format: `for_each_format` calls the factory with the Numba type of the argument.

A float of p + 1 significant bits holds its exponent, biased, above the p bits of its fraction.
Adding ``SHIFTER`` = 1.5 * 2^p + bias rounds a small float to an integer k and leaves k + bias in
the lowest bits of the sum: shifted left by p they are the float 2^k.
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
from numba.extending import overload

from ..codegen.lanes import Lanes, in_lanes
from ..codegen.target import constant, fma, like
from ..runtime.llvm import call, emits


@dataclass(frozen=True)
class Format:
    """A binary format of IEEE 754."""

    real: type  # the NumPy type
    fraction: int  # bits of the fraction
    bias: int  # of the exponent

    @property
    def shifter(self) -> np.floating:
        """Return the number that rounds to an integer when added, as the docstring above says."""
        return self.real(1.5 * 2**self.fraction + self.bias)


FORMATS = MappingProxyType(
    {types.float32: Format(np.float32, 23, 127), types.float64: Format(np.float64, 52, 1023)}
)


def by_format(single: tuple, double: tuple) -> dict:
    """Return the coefficients of a polynomial by format, lowest first."""
    return {types.float32: tuple(map(np.float32, single)), types.float64: double}


def for_each_format(make: Callable) -> Callable:
    """Turn a factory, from the types of the arguments to scalar code, into a function of kernels.

    LLVM inlines it wherever it is called, and divisions do not check for zero. For `Lanes` the code
    is the same; Numba rejects it if it uses an operation that they do not have.
    """

    @functools.wraps(make)
    def function(*arguments):
        raise NotImplementedError(f"{make.__name__} runs in kernels only")

    @functools.wraps(make)
    def make_for(*arguments):
        return make(*(each.real if isinstance(each, Lanes) else each for each in arguments))

    overload(function, jit_options={"forceinline": True, "error_model": "numpy"})(make_for)
    return function


@emits(lambda a, b, c: a(a, b, c))
def multiply_add(context, builder, signature, a, b, c):
    """Compute a * b + c, rounded once, on any machine; of floats, or `Lanes` and floats."""
    return fma(builder, *_broadcast(builder, a, a, b, c))


def _broadcast(builder, value, *others):
    """Broadcast ``others`` to as many lanes as ``value`` has."""
    vector = isinstance(value.type, ir.VectorType)
    return [in_lanes(builder, each) if vector else each for each in others]


@emits(lambda x, coefficients: x(x, coefficients))
def polynomial(context, builder, signature, x, coefficients):
    """Compute c[0] + c[1] x + c[2] x^2 + ..., even and odd powers apart, each by Horner's rule.

    The two chains in x^2 run at the same time: one alone would wait for each of its additions.
    """
    terms = _broadcast(builder, x, *cgutils.unpack_tuple(builder, coefficients))
    if len(terms) < 8:
        return _horner(builder, x, terms)
    square = builder.fmul(x, x)
    even, odd = (_horner(builder, square, terms[start::2]) for start in (0, 1))
    return fma(builder, odd, x, even)


def _horner(builder, x, terms):
    *rest, total = terms
    for term in reversed(rest):
        total = fma(builder, total, x, term)
    return total


def _integers(value):
    """Return the LLVM integer type as wide as a float or lanes, and the bits of its fraction."""
    single = like(value.type, ir.FloatType()) == value.type
    return like(value.type, ir.IntType(32 if single else 64)), 23 if single else 52


@emits(lambda shifted: shifted(shifted))
def two_to(context, builder, signature, shifted):
    """Compute 2^k where ``shifted`` is k + SHIFTER; -bias < k <= bias."""
    word, fraction = _integers(shifted)
    exponent = builder.shl(builder.bitcast(shifted, word), constant(word, fraction))
    return builder.bitcast(exponent, shifted.type)


@emits(lambda x, least, most: x(x, least, most))
def clamp(context, builder, signature, x, least, most):
    """Clamp x to the range from ``least`` to ``most``; NaN stays NaN."""
    least, most = _broadcast(builder, x, least, most)
    x = builder.select(builder.fcmp_ordered("<", x, least), least, x)
    return builder.select(builder.fcmp_ordered(">", x, most), most, x)


@emits(lambda x, least: types.UniTuple(x, 2)(x, least))
def split(context, builder, signature, x, least):
    """Return k and m of x = 2^k m with ``least`` <= m < 2 ``least``, for a normal x > 0.

    k is in units of 2^-fraction, its position in the bits: a factor that it is multiplied by
    anyway can hold the unit, at no cost.
    """
    word, fraction = _integers(x)
    bits = builder.bitcast(x, word)
    steps = builder.sub(bits, builder.bitcast(least, word))
    whole = builder.and_(steps, word(-1 << fraction))
    m = builder.bitcast(builder.sub(bits, whole), x.type)
    k = builder.sitofp(whole, x.type)
    return context.make_tuple(builder, signature.return_type, [k, m])


@emits(lambda magnitude, sign: magnitude(magnitude, sign))
def with_sign(context, builder, signature, magnitude, sign):
    """Return ``magnitude`` with the sign of ``sign``, also of -0 and NaN."""
    name = "llvm.copysign.f32" if signature.args[0] == types.float32 else "llvm.copysign.f64"
    return call(builder, name, magnitude.type, magnitude, sign)


def _integer_of(x):
    return types.int32 if x == types.float32 else types.int64


@emits(lambda x: _integer_of(x)(x))
def word(context, builder, signature, x):
    """Return the bits of x as an integer."""
    return builder.bitcast(x, _integers(x)[0])


@emits(lambda x: _integer_of(x)(x))
def exponent(context, builder, signature, x):
    """Return the e of 2^e <= abs(x) < 2^(e+1); -bias for 0 and subnormals."""
    word, fraction = _integers(x)
    bits = builder.shl(builder.bitcast(x, word), word(1))
    bias = FORMATS[signature.args[0]].bias
    return builder.sub(builder.lshr(bits, word(fraction + 1)), word(bias))


@emits(lambda x, k: x(x, k))
def scaled(context, builder, signature, x, k):
    """Compute x 2^k for an integer k of the width of x, where 2^k is a normal float."""
    word, fraction = _integers(x)
    biased = builder.add(k, word(FORMATS[signature.args[0]].bias))
    return builder.fmul(x, builder.bitcast(builder.shl(biased, word(fraction)), x.type))


def table(values):
    """Return a function of kernels from an integer to one of 2^b float64 numbers.

    It is a tree of selects by the b lowest bits of the integer. A load from a table would prevent
    vectorisation: LLVM could not rule out that it aliases the stores of the loop.
    """

    @emits(lambda index: types.float64(index))
    def look_up(context, builder, signature, index):
        left, bit = [ir.DoubleType()(value) for value in values], 1
        while len(left) > 1:
            odd = builder.icmp_signed("!=", builder.and_(index, index.type(bit)), index.type(0))
            left = [builder.select(odd, *pair) for pair in zip(left[1::2], left[::2], strict=True)]
            bit *= 2
        return left[0]

    return look_up
