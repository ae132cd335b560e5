"""Sixteen numbers side by side: the partial sums of a fold, as many of them on every machine.

A sum that the compiler may reorder has as many partial sums as its vectors have lanes, and so other
bits on another processor. Here their number is written down: LLVM holds `Lanes` in one register or
in several, and does the same to each number. A row of numbers x is summed as

    lane[l] = x[l] + x[l + 16] + x[l + 32] + ...        sum = the lanes, added as a tree

with 64 numbers at a time: the additions of four rows of lanes do not wait for each other. Fewer
than eight numbers are added one by one.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
SHORT = 8  # numbers that are worth no lanes

_INDEX = ir.IntType(32)


class Lanes(types.Type):
    """The Numba type of sixteen floats; ``+``, ``-`` and ``*`` take lanes, or lanes and a float."""

    def __init__(self, real: types.Float):
        self.real = real
        super().__init__(f"Lanes({real})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, vector(manager.lookup(kind.real).get_value_type()))


def vector(element):
    """The LLVM type of lanes of floats."""
    return ir.VectorType(element, LANES)


def in_lanes(builder, value):
    """A float in every lane, or lanes as they are; what a float is in LLVM."""
    if isinstance(value.type, ir.VectorType):
        return value
    nothing = ir.Constant(vector(value.type), ir.Undefined)
    first = builder.insert_element(nothing, value, _INDEX(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(vector(_INDEX), [0] * LANES))


def _arithmetic(symbol, instruction):
    @infer_global(symbol)
    class _Template(AbstractTemplate):
        def generic(self, arguments, keywords):
            lanes = next((each for each in arguments if isinstance(each, Lanes)), None)
            if lanes and all(each in (lanes, lanes.real) for each in arguments):
                return signature(lanes, *arguments)
            return None

    for kinds in (Lanes, Lanes), (Lanes, types.Float), (types.Float, Lanes):

        @lower_builtin(symbol, *kinds)
        def lower(context, builder, signature, values):
            return getattr(builder, instruction)(*(in_lanes(builder, each) for each in values))


for _symbol, _instruction in (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"):
    _arithmetic(_symbol, _instruction)


@intrinsic
def spread(typingctx, value):
    """A float in every lane."""
    return Lanes(value)(value), lambda _, builder, signature, values: in_lanes(builder, values[0])


def _mask(builder, count):
    """The lanes whose number is less than ``count``."""
    numbers = ir.Constant(vector(count.type), list(range(LANES)))
    return builder.icmp_signed("<", numbers, in_lanes(builder, count))


@intrinsic
def load(typingctx, x, i, count):
    """The lanes x[i], x[i + 1], ...: all (None), or the first ``count``, then zeros.

    A ``count`` of True is for one number: the float x[i].
    """
    lanes = Lanes(x.dtype)
    one = isinstance(count, types.Boolean)

    def codegen(context, builder, signature, values):
        kind = context.get_value_type(lanes)
        at = builder.gep(values[0], [values[1]], source_etype=kind.element)
        if one:
            return builder.load(at, typ=kind.element)
        size = x.dtype.bitwidth // 8
        if count is types.none:
            value = builder.load(at, typ=kind)
            value.align = size
            return value
        mask = _mask(builder, values[2])
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [at.type, _INDEX, mask.type, kind]),
            f"llvm.masked.load.v{LANES}f{size * 8}.p0",
        )
        return builder.call(function, [at, _INDEX(size), mask, ir.Constant(kind, [0.0] * LANES)])

    return (x.dtype if one else lanes)(x, types.int64, count), codegen


@intrinsic
def load_apart(typingctx, x, i, step, count):
    """The lanes x[i * step], x[(i + 1) * step], ...; the last of ``count`` again behind it."""
    lanes = Lanes(x.dtype)

    def codegen(context, builder, signature, values):
        x, i, step, *_ = values
        result = ir.Constant(context.get_value_type(lanes), ir.Undefined)
        for lane in range(LANES):
            place = i.type(lane)
            if count is not types.none:
                last = builder.sub(values[3], i.type(1))
                place = builder.select(builder.icmp_signed("<", place, last), place, last)
            at = builder.gep(
                x, [builder.mul(builder.add(i, place), step)], source_etype=result.type.element
            )
            element = builder.load(at, typ=result.type.element)
            result = builder.insert_element(result, element, _INDEX(lane))
        return result

    return lanes(x, types.int64, types.int64, count), codegen


@intrinsic
def store(typingctx, lanes, x, i):
    """Put all lanes at x[i], x[i + 1], ..."""

    def codegen(context, builder, signature, values):
        value, x, i = values
        at = builder.gep(x, [i], source_etype=value.type.element)
        at = builder.bitcast(at, value.type.as_pointer())
        builder.store(value, at).align = lanes.real.bitwidth // 8
        return context.get_dummy_value()

    return types.void(lanes, x, types.int64), codegen


@intrinsic
def keep(typingctx, lanes, count, other):
    """The first ``count`` lanes, ``other`` in the rest; all of them if it is None."""

    def codegen(context, builder, signature, values):
        value, count_, other = values
        if count is types.none:
            return value
        return builder.select(_mask(builder, count_), value, in_lanes(builder, other))

    return lanes(lanes, count, lanes.real), codegen


@intrinsic(prefer_literal=True)
def behind(typingctx, lanes, count):
    """The lanes from number ``count`` on, followed by any."""

    def codegen(context, builder, signature, values):
        places = [min(k + count.literal_value, LANES - 1) for k in range(LANES)]
        return builder.shuffle_vector(values[0], values[0], ir.Constant(vector(_INDEX), places))

    return lanes(lanes, count), codegen


@intrinsic
def first(typingctx, lanes):
    """The float in lane 0."""
    return lanes.real(lanes), lambda _, builder, signature, values: builder.extract_element(
        values[0], _INDEX(0)
    )


@intrinsic
def zero_of(typingctx, x):
    """The 0 of the floats that a pointer leads to."""
    kind = x.dtype
    return kind(x), lambda context, builder, signature, values: context.get_constant(kind, 0.0)


inlined = njit(forceinline=True)  # LLVM does it: for Numba these stay functions


@inlined
def total(lanes):
    """The sum of the lanes, as a tree."""
    lanes = lanes + behind(lanes, 8)
    lanes = lanes + behind(lanes, 4)
    lanes = lanes + behind(lanes, 2)
    return first(lanes + behind(lanes, 1))


@inlined
def sum_row(zero, term, length, values):
    """The sum of ``term(i, count, *values)``: lanes i, i + 1, ... of ``length`` numbers.

    ``count`` is what `load` takes. ``zero`` is a float.
    """
    if length < SHORT:
        result = zero
        for i in range(length):
            result += term(i, True, *values)
        return result
    lanes, i = spread(zero), 0
    while i + 4 * LANES <= length:
        lanes = lanes + (
            (term(i, None, *values) + term(i + LANES, None, *values))
            + (term(i + 2 * LANES, None, *values) + term(i + 3 * LANES, None, *values))
        )
        i += 4 * LANES
    while i + LANES <= length:
        lanes = lanes + term(i, None, *values)
        i += LANES
    if i < length:
        lanes = lanes + keep(term(i, length - i, *values), length - i, zero)
    return total(lanes)


@inlined
def element(i, count, x, start):
    """A term of `sum_row`: the numbers x[start + i]."""
    return load(x, start + i, count)
