"""How work is cut into parts: runs of neighbours, whose lengths differ by one at most.

    part p of P takes, of n things, those from  n p // P  to  n (p + 1) // P

The one split of the project: of what threads share, and of what is folded in parts. Written as LLVM
code, because Numba would compile the same from a line of Python in each kernel, and take as long
for it as for all the rest of a small one.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_WORD = ir.IntType(64)


@intrinsic
def share(typingctx, size, part, parts):
    """Of ``size`` things, a part's first, and its last + 1; ``part`` counts from 0."""
    word = types.int64

    def codegen(context, builder, signature, arguments):
        size, part, parts = arguments
        ends = [
            builder.sdiv(builder.mul(size, end), parts)
            for end in (part, builder.add(part, _WORD(1)))
        ]
        return context.make_tuple(builder, signature.return_type, ends)

    return types.UniTuple(word, 2)(word, word, word), codegen


@njit(error_model="numpy", no_cpython_wrapper=True)
def share_of_steps(size, step, part, parts):
    """The same in whole steps, the very last of which may be shorter."""
    first, last = share((size + step - 1) // step, part, parts)
    return min(first * step, size), min(last * step, size)
