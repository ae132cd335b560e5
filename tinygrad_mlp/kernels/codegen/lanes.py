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

from ..runtime.llvm import call, emits, loop, merge

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
    def __init__(self, manager, type_):
        super().__init__(manager, type_, vector(manager.lookup(type_.real).get_value_type()))


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

    for operands in (Lanes, Lanes), (Lanes, types.Float), (types.Float, Lanes):

        @lower_builtin(symbol, *operands)
        def lower(context, builder, signature, values):
            return getattr(builder, instruction)(*(in_lanes(builder, each) for each in values))


for _symbol, _instruction in (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"):
    _arithmetic(_symbol, _instruction)


@emits(lambda value: Lanes(value)(value))
def spread(context, builder, signature, value):
    """Broadcast a float to all lanes."""
    return in_lanes(builder, value)


def _mask(builder, count):
    """Emit the mask of the first ``count`` lanes."""
    numbers = ir.Constant(vector(count.type), list(range(LANES)))
    return builder.icmp_signed("<", numbers, in_lanes(builder, count))


def _loaded(x, i, count):
    one = isinstance(count, types.Boolean)
    return (x.dtype if one else Lanes(x.dtype))(x, types.int64, count)


@emits(_loaded)
def load(context, builder, signature, x, i, count):
    """Load the lanes x[i], x[i + 1], ...: the first ``count``, then zeros.

    With the constant ``count`` 16, LLVM loads all of them unmasked. True loads one number, x[i].
    """
    real = signature.args[0].dtype
    type_ = context.get_value_type(Lanes(real))
    at = builder.gep(x, [i], source_etype=type_.element)
    if signature.return_type == real:
        return builder.load(at, typ=type_.element)
    size, zeros = real.bitwidth // 8, ir.Constant(type_, [0.0] * LANES)
    name = f"llvm.masked.load.v{LANES}f{size * 8}.p0"
    return call(builder, name, type_, at, _INDEX(size), _mask(builder, count), zeros)


@emits(lambda x, i, step, count: Lanes(x.dtype)(x, types.int64, types.int64, count))
def load_strided(context, builder, signature, x, i, step, count):
    """Load ``count`` lanes x[i * step], x[(i + 1) * step], ...; repeat the last in the rest."""
    last = builder.sub(count, i.type(1))
    result = ir.Constant(context.get_value_type(signature.return_type), ir.Undefined)
    element = result.type.element
    for lane in range(LANES):
        inside = builder.icmp_signed("<", i.type(lane), last)
        index = builder.select(inside, i.type(lane), last)
        offset = builder.mul(builder.add(i, index), step)
        value = builder.load(builder.gep(x, [offset], source_etype=element), typ=element)
        result = builder.insert_element(result, value, _INDEX(lane))
    return result


@emits(lambda lanes, x, i: types.void(lanes, x, types.int64))
def store(context, builder, signature, lanes, x, i):
    """Store all lanes at x[i], x[i + 1], ..."""
    at = builder.gep(x, [i], source_etype=lanes.type.element)
    at = builder.bitcast(at, lanes.type.as_pointer())
    builder.store(lanes, at).align = signature.args[0].real.bitwidth // 8


@emits(lambda lanes, count, other: lanes(lanes, count, lanes.real))
def keep(context, builder, signature, lanes, count, other):
    """Return the first ``count`` lanes, with ``other`` in the rest."""
    return builder.select(_mask(builder, count), lanes, in_lanes(builder, other))


@emits(lambda lanes, count: lanes(lanes, count), literal=True)
def shift_down(context, builder, signature, lanes, count):
    """Return the lanes from number ``count`` on; the rest is arbitrary."""
    count = signature.args[1].literal_value
    indices = [min(k + count, LANES - 1) for k in range(LANES)]
    return builder.shuffle_vector(lanes, lanes, ir.Constant(vector(_INDEX), indices))


@emits(lambda lanes: lanes.real(lanes))
def first(context, builder, signature, lanes):
    """Return the float in lane 0."""
    return builder.extract_element(lanes, _INDEX(0))


def _total(builder, lanes):
    """Emit the sum of the lanes as a tree: repeatedly add one half to the other."""
    count = LANES
    while count > 1:
        count //= 2
        indices = [
            ir.Constant(ir.VectorType(_INDEX, count), list(range(at, at + count)))
            for at in (0, count)
        ]
        halves = [builder.shuffle_vector(lanes, lanes, each) for each in indices]
        lanes = builder.fadd(*halves)
    return builder.extract_element(lanes, _INDEX(0))


def _add_while(builder, i, length, step, totals, terms):
    """Emit: while i + step <= length, add ``terms(i)`` to totals; return the last i and totals."""

    def more(i, *_):
        return builder.icmp_signed("<=", builder.add(i, i.type(step)), length)

    def add(i, *so_far):
        added = [builder.fadd(*pair) for pair in zip(so_far, terms(i), strict=True)]
        return [builder.add(i, i.type(step)), *added]

    i, *totals = loop(builder, "sum", [i, *totals], more, add)
    return i, totals


def _sum(builder, zeros, length, lanes_of):
    """Emit sums along ``length`` numbers; ``lanes_of(i, count)`` emits a term of each."""
    word = length.type
    every = word(LANES)

    def one(i):
        return lanes_of(i, every)

    def pair(terms, distance):
        def both(i):
            pairs = zip(terms(i), terms(builder.add(i, word(distance))), strict=True)
            return [builder.fadd(x, y) for x, y in pairs]

        return both

    four = pair(pair(one, LANES), 2 * LANES)
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
    results = merge(builder, (totals, before), (added, after))
    return [_total(builder, each) for each in results]


def _sum_of_terms(typingctx, zero, term, values, short):
    """Return the signature and the code generator of the two intrinsics below.

    Their loops are LLVM code: Numba would take a tenth of a second to compile them, per sum.
    """
    typed = [
        term.get_call_type(typingctx, (types.int64, count, *values.types), {})
        for count in [types.int64, types.boolean][: 1 + short]
    ]
    several = isinstance(typed[0].return_type, types.BaseTuple)
    result = types.UniTuple(zero, len(typed[0].return_type)) if several else zero

    def codegen(context, builder, signature, arguments):
        zero, _, length, packed = arguments
        rest = cgutils.unpack_tuple(builder, packed)
        zeros = [zero] * (len(result) if several else 1)

        def terms(i, count, typed=typed[0]):
            value = context.get_function(term, typed)(builder, [i, count, *rest])
            return cgutils.unpack_tuple(builder, value) if several else [value]

        def numbers(i):
            return terms(i, cgutils.true_bit, typed[1])

        if short:
            few, branches = builder.icmp_signed("<", length, length.type(SHORT)), []
            with builder.if_else(few) as (then, otherwise):
                with then:
                    _, totals = _add_while(builder, length.type(0), length, 1, zeros, numbers)
                    branches.append((totals, builder.block))
                with otherwise:
                    totals = _sum(builder, zeros, length, terms)
                    branches.append((totals, builder.block))
            totals = merge(builder, *branches)
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


@emits(lambda x: x.dtype(x))
def zero_of(context, builder, signature, x):
    """Return the 0 of a pointer's float type."""
    return context.get_constant(signature.return_type, 0.0)


# LLVM inlines them; for Numba they stay functions.
inlined = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@inlined
def element(i, count, x, start):
    """Return terms of `sum_lanes`: the numbers x[start + i]."""
    return load(x, start + i, count)
