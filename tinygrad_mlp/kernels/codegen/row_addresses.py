"""The address at which each operand's row begins, as LLVM code.

Numba would compile the same from a few lines of Python in each kernel, and take as long for them
as for all the rest of it: half of the time of a cold start.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..runtime.llvm import WORD, emits, loop

# Constants of an elementwise kernel; the sizes of the outer axes begin at SIZES.
AXES, ROWS, COLUMNS, SIZES = range(4)


@emits(
    lambda words, row, operands: types.CPointer(types.int64)(words, types.int64, operands),
    literal=True,
)
def row_addresses(context, builder, signature, words, row, operands):
    """Return the addresses at which row number ``row`` of each operand begins.

        address[k] = words[k + 1] + sum over axes of index[axis] * stride[k, axis]

    ``words`` are a kernel's argument words; its constants begin with the number of outer axes, and
    from SIZES on hold the axes' sizes, then for each operand its strides and one word more.
    """
    count = signature.args[2].literal_value

    def load(base, index):
        return builder.load(builder.gep(base, [index], source_etype=WORD), typ=WORD)

    constants = builder.inttoptr(load(words, WORD(0)), ir.PointerType())
    axes = load(constants, WORD(AXES))

    def next_axis(after, rest, *addresses):  # from the last axis to the first
        axis = builder.sub(after, WORD(1))
        size = load(constants, builder.add(axis, WORD(SIZES)))
        index, rest = builder.srem(rest, size), builder.sdiv(rest, size)
        moved = []
        for k, address in enumerate(addresses):
            strides = builder.add(builder.mul(axes, WORD(k + 1)), WORD(SIZES + k))
            step = builder.mul(index, load(constants, builder.add(axis, strides)))
            moved.append(builder.add(address, step))
        return [axis, rest, *moved]

    starts = [axes, row, *(load(words, WORD(k + 1)) for k in range(count))]
    _, _, *addresses = loop(
        builder, "axes", starts, lambda axis, *_: builder.icmp_signed(">", axis, WORD(0)), next_axis
    )
    out = cgutils.alloca_once(builder, WORD, size=count)
    for k, address in enumerate(addresses):
        builder.store(address, builder.gep(out, [WORD(k)], source_etype=WORD))
    return out
