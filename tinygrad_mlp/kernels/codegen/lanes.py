"""Vectors of sixteen numbers: the partial sums of a fold, the same number on every processor.

A sum that the compiler may reorder has as many partial sums as the processor's vectors have lanes,
so its bits depend on the processor. `Lanes` fix the number: LLVM holds them in one register or in
several, with the same result. A row of numbers x is summed as

    lane[l] = x[l] + x[l + 16] + x[l + 32] + ...        sum = the lanes, added as a tree

with 64 numbers per step, so that additions do not wait for each other.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
SHORT = 8  # below this length a sequential sum is faster

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
    """Return the LLVM type of lanes of floats."""
    return ir.VectorType(element, LANES)


def in_lanes(builder, value):
    """Broadcast an LLVM float to all lanes; return lanes unchanged."""
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
    """Broadcast a float to all lanes."""
    return Lanes(value)(value), lambda _, builder, signature, values: in_lanes(builder, values[0])


def _mask(builder, count):
    """Emit the mask of the first ``count`` lanes."""
    numbers = ir.Constant(vector(count.type), list(range(LANES)))
    return builder.icmp_signed("<", numbers, in_lanes(builder, count))


@intrinsic
def load(typingctx, x, i, count):
    """Load the lanes x[i], x[i + 1], ...: the first ``count``, then zeros.

    With the constant ``count`` 16, LLVM loads all of them unmasked. True loads one number, x[i].
    """
    lanes = Lanes(x.dtype)
    one = isinstance(count, types.Boolean)

    def codegen(context, builder, signature, values):
        kind = context.get_value_type(lanes)
        at = builder.gep(values[0], [values[1]], source_etype=kind.element)
        if one:
            return builder.load(at, typ=kind.element)
        size = x.dtype.bitwidth // 8
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
    """Load ``count`` lanes x[i * step], x[(i + 1) * step], ...; repeat the last in the rest."""
    lanes = Lanes(x.dtype)

    def codegen(context, builder, signature, values):
        x, i, step, count_ = values
        last = builder.sub(count_, i.type(1))
        result = ir.Constant(context.get_value_type(lanes), ir.Undefined)
        for lane in range(LANES):
            inside = builder.icmp_signed("<", i.type(lane), last)
            place = builder.select(inside, i.type(lane), last)
            at = builder.gep(
                x, [builder.mul(builder.add(i, place), step)], source_etype=result.type.element
            )
            element = builder.load(at, typ=result.type.element)
            result = builder.insert_element(result, element, _INDEX(lane))
        return result

    return lanes(x, types.int64, types.int64, count), codegen


@intrinsic
def store(typingctx, lanes, x, i):
    """Store all lanes at x[i], x[i + 1], ..."""

    def codegen(context, builder, signature, values):
        value, x, i = values
        at = builder.gep(x, [i], source_etype=value.type.element)
        at = builder.bitcast(at, value.type.as_pointer())
        builder.store(value, at).align = lanes.real.bitwidth // 8
        return context.get_dummy_value()

    return types.void(lanes, x, types.int64), codegen


@intrinsic
def keep(typingctx, lanes, count, other):
    """Return the first ``count`` lanes, with ``other`` in the rest."""

    def codegen(context, builder, signature, values):
        value, count_, other = values
        return builder.select(_mask(builder, count_), value, in_lanes(builder, other))

    return lanes(lanes, count, lanes.real), codegen


@intrinsic(prefer_literal=True)
def behind(typingctx, lanes, count):
    """Return the lanes from number ``count`` on; the rest is arbitrary."""

    def codegen(context, builder, signature, values):
        places = [min(k + count.literal_value, LANES - 1) for k in range(LANES)]
        return builder.shuffle_vector(values[0], values[0], ir.Constant(vector(_INDEX), places))

    return lanes(lanes, count), codegen


@intrinsic
def first(typingctx, lanes):
    """Return the float in lane 0."""
    return lanes.real(lanes), lambda _, builder, signature, values: builder.extract_element(
        values[0], _INDEX(0)
    )


def _total(builder, lanes):
    """Emit the sum of the lanes as a tree: repeatedly add one half to the other."""
    count = LANES
    while count > 1:
        count //= 2
        kind = ir.VectorType(_INDEX, count)
        halves = [
            builder.shuffle_vector(lanes, lanes, ir.Constant(kind, list(range(at, at + count))))
            for at in (0, count)
        ]
        lanes = builder.fadd(*halves)
    return builder.extract_element(lanes, _INDEX(0))


def _add_while(builder, i, length, step, totals, terms):
    """Emit: while i + step <= length, add ``terms(i)`` to totals; return the last i and totals."""
    before, loop = builder.block, builder.append_basic_block("sum")
    done = builder.append_basic_block("sum.done")
    some = builder.icmp_signed("<=", builder.add(i, i.type(step)), length)
    builder.cbranch(some, loop, done)
    builder.position_at_end(loop)
    here, *so_far = (builder.phi(each.type) for each in (i, *totals))
    added = [builder.fadd(*pair) for pair in zip(so_far, terms(here), strict=True)]
    following = builder.add(here, i.type(step))
    more = builder.icmp_signed("<=", builder.add(following, i.type(step)), length)
    builder.cbranch(more, loop, done)
    after = builder.block
    builder.position_at_end(done)
    last = [builder.phi(each.type) for each in (i, *totals)]
    for phis in (here, *so_far), last:
        for phi, first, then in zip(phis, (i, *totals), (following, *added), strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(then, after)
    return last[0], last[1:]


def _sum(builder, zeros, length, lanes_of):
    """Emit sums along ``length`` numbers; ``lanes_of(i, count)`` emits a term of each."""
    word = length.type
    every = word(LANES)

    def pair(i, apart, terms):
        both = zip(terms(i), terms(builder.add(i, word(apart))), strict=True)
        return [builder.fadd(x, y) for x, y in both]

    def one(i):
        return lanes_of(i, every)

    def two(i):
        return pair(i, LANES, one)

    def four(i):
        return pair(i, 2 * LANES, two)

    totals = [in_lanes(builder, zero) for zero in zeros]
    i, totals = _add_while(builder, word(0), length, 4 * LANES, totals, four)
    i, totals = _add_while(builder, i, length, LANES, totals, one)
    before, count = builder.block, builder.sub(length, i)
    with builder.if_then(builder.icmp_signed(">", count, word(0))):
        mask = _mask(builder, count)
        added = [
            builder.fadd(total, builder.select(mask, term, in_lanes(builder, zero)))
            for total, term, zero in zip(totals, lanes_of(i, count), zeros, strict=True)
        ]
        after = builder.block
    results = _joined(builder, (totals, before), (added, after))
    return [_total(builder, each) for each in results]


def _joined(builder, *ways):
    """Emit phi nodes for values that come from several blocks."""
    phis = [builder.phi(value.type) for value in ways[0][0]]
    for values, block in ways:
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, block)
    return phis


def _sum_of_terms(typingctx, zero, term, values, short):
    """Return the signature and the code generator of the two intrinsics below.

    Their loops are LLVM code: Numba would take a tenth of a second to compile them, per sum.
    """
    kinds = [types.int64, types.boolean][: 1 + short]
    typed = [term.get_call_type(typingctx, (types.int64, k, *values.types), {}) for k in kinds]
    several = isinstance(typed[0].return_type, types.BaseTuple)
    result = types.UniTuple(zero, len(typed[0].return_type)) if several else zero

    def codegen(context, builder, signature, arguments):
        zero, _, length, packed = arguments
        rest = cgutils.unpack_tuple(builder, packed)
        zeros = [zero] * (len(result) if several else 1)

        def terms(i, count, kind=typed[0]):
            made = context.get_function(term, kind)(builder, [i, count, *rest])
            return cgutils.unpack_tuple(builder, made) if several else [made]

        def numbers(i):
            return terms(i, cgutils.true_bit, typed[1])

        if short:
            few = builder.icmp_signed("<", length, length.type(SHORT))
            with builder.if_else(few) as (then, otherwise):
                with then:
                    _, totals = _add_while(builder, length.type(0), length, 1, zeros, numbers)
                    one_by_one = totals, builder.block
                with otherwise:
                    wide = _sum(builder, zeros, length, terms), builder.block
            totals = _joined(builder, one_by_one, wide)
        else:
            totals = _sum(builder, zeros, length, terms)
        return context.make_tuple(builder, result, totals) if several else totals[0]

    return result(zero, term, types.int64, values), codegen


@intrinsic
def sum_lanes(typingctx, zero, term, length, values):
    """Sum ``term(i, count, *values)``, the lanes i, i + 1, ..., over ``length`` numbers.

    ``count`` is that of `load`, ``zero`` the float 0. If ``term`` returns a tuple, sum each part.
    """
    return _sum_of_terms(typingctx, zero, term, values, short=False)


@intrinsic
def sum_row(typingctx, zero, term, length, values):
    """Sum as `sum_lanes`, but fewer than eight numbers sequentially, which is faster."""
    return _sum_of_terms(typingctx, zero, term, values, short=True)


@intrinsic
def zero_of(typingctx, x):
    """Return the 0 of a pointer's float type."""
    kind = x.dtype
    return kind(x), lambda context, builder, signature, values: context.get_constant(kind, 0.0)


# LLVM inlines them; for Numba they stay functions.
inlined = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@inlined
def element(i, count, x, start):
    """Return terms of `sum_lanes`: the numbers x[start + i]."""
    return load(x, start + i, count)
