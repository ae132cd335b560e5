"""Slices of work: contiguous parts of a range, whose lengths differ by one at most.

    slice p of P, of n items, is the range from  n p // P  to  n (p + 1) // P

All kernels use this one split, for threads and for folds in parts. It is written as LLVM code:
from a line of Python in each kernel Numba would produce the same code, in as much compile time as
the rest of a small kernel takes.
"""

from __future__ import annotations

from numba import njit, types
from numba.core.typing.templates import Signature

from .llvm import WORD, Builder, Context, Value, emits


@emits(types.UniTuple(types.int64, 2)(types.int64, types.int64, types.int64))
def slice_of(
    context: Context, builder: Builder, signature: Signature, size: Value, part: Value, parts: Value
) -> Value:
    """Return the begin and the end of slice ``part`` (from 0) of ``size`` items."""
    ends = [
        builder.sdiv(builder.mul(size, end), parts) for end in (part, builder.add(part, WORD(1)))
    ]
    return context.make_tuple(builder, signature.return_type, ends)


@njit(error_model="numpy", no_cpython_wrapper=True)  # type: ignore[call-overload,untyped-decorator]
def slice_of_steps(size: int, step: int, part: int, parts: int) -> tuple[int, int]:
    """Return the slice in whole steps of ``step`` items; the last step of all may be shorter."""
    first, last = slice_of((size + step - 1) // step, part, parts)
    return min(first * step, size), min(last * step, size)
