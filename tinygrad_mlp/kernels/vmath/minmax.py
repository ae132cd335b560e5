"""The larger and the smaller of two numbers, NaN if either is: for maxima of arrays.

Written with comparisons, such a fold is a chain of branches, one element after the other. Here it
is one operation of IEEE 754-2019, `maximum` or `minimum`, which the compiler treats as
associative: it folds in vector lanes, twenty times faster. The order of 0 and -0 is left
unspecified ("nsz"), which halves the instructions. A fold adds 0 to its result, so that both become
0: otherwise the sign would depend on the number of lanes.
"""

from __future__ import annotations

from numba import types

from ..codegen.lanes import LANES, Lanes
from ..runtime.llvm import call, emits


def _extreme(operation: str):
    """Return an intrinsic of two scalars of one dtype (bools and integers too), or of lanes."""

    def extreme(context, builder, signature, a, b):
        type_ = signature.return_type
        if isinstance(type_, (types.Float, Lanes)):
            lanes = isinstance(type_, Lanes)
            name = f"v{LANES}f{type_.real.bitwidth}" if lanes else f"f{type_.bitwidth}"
            return call(builder, f"llvm.{operation}.{name}", a.type, a, b, fastmath=("nsz",))
        order = ">" if operation == "maximum" else "<"
        compare = builder.icmp_signed if getattr(type_, "signed", False) else builder.icmp_unsigned
        return builder.select(compare(order, a, b), a, b)

    extreme.__name__ = extreme.__qualname__ = operation
    extreme.__doc__ = f"Return the {operation} of two scalars of one dtype; NaN if one is NaN."
    return emits(lambda a, b: a(a, b) if a == b else None)(extreme)


maximum = _extreme("maximum")
minimum = _extreme("minimum")
