"""The larger and the smaller of two numbers, NaN if either is: what maxima of arrays fold.

Written with comparisons, such a fold is a chain of branches, one element after the other. Here it
is one operation of IEEE 754-2019, `maximum` or `minimum`, which the compiler knows to be
associative: so it folds in vector lanes, twenty times faster. Which of 0 and -0 is larger is left
open ("nsz"): that halves its instructions. A fold adds 0 to its result, which makes 0 of both: else
the sign would depend on the number of lanes.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..codegen.lanes import LANES, Lanes


def _extreme(operation: str):
    """An intrinsic of two scalars of one dtype; of bools and integers, their order."""

    def extreme(typingctx, a, b):
        def codegen(context, builder, signature, arguments):
            if isinstance(a, (types.Float, Lanes)):
                kind = context.get_value_type(a)
                name = f"v{LANES}f{a.real.bitwidth}" if isinstance(a, Lanes) else f"f{a.bitwidth}"
                function = cgutils.get_or_insert_function(
                    builder.module, ir.FunctionType(kind, [kind, kind]), f"llvm.{operation}.{name}"
                )
                return builder.call(function, arguments, fastmath=("nsz",))
            order = ">" if operation == "maximum" else "<"
            compare = builder.icmp_signed if getattr(a, "signed", False) else builder.icmp_unsigned
            return builder.select(compare(order, *arguments), *arguments)

        return (a(a, b), codegen) if a == b else None

    extreme.__name__ = extreme.__qualname__ = operation
    extreme.__doc__ = f"``{operation}(a, b)`` of two scalars of one dtype; NaN if one is NaN."
    return intrinsic(extreme)


maximum = _extreme("maximum")
minimum = _extreme("minimum")
