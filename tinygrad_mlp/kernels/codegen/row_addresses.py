"""Where each operand's row begins, as LLVM code.

Numba would compile the same from a few lines of Python in each kernel, and take as long for them
as for all the rest of it: half of the time of a cold start.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WORD, _POINTER = ir.IntType(64), ir.PointerType()


@intrinsic(prefer_literal=True)
def row_addresses(typingctx, words, row, operands):
    """A row of addresses: where row number ``row`` of each operand begins.

        address[k] = words[k + 1] + sum over axes of index[axis] * stride[k, axis]

    ``words`` are a kernel's argument words; its constants begin with the number of outer axes, and
    from the fourth on hold the axes' sizes, then for each operand its strides and one word more.
    """
    count = operands.literal_value

    def codegen(context, builder, signature, arguments):
        words, row, _ = arguments

        def word(base, place):
            at = builder.gep(base, [place], source_etype=_WORD)
            return builder.load(at, typ=_WORD)

        starts = [word(words, _WORD(k + 1)) for k in range(count)]
        constants = builder.inttoptr(word(words, _WORD(0)), _POINTER)
        axes = word(constants, _WORD(0))
        entry, loop = builder.block, builder.append_basic_block("axis")
        done = builder.append_basic_block("axes.done")
        builder.cbranch(builder.icmp_signed(">", axes, _WORD(0)), loop, done)

        builder.position_at_end(loop)  # from the last axis to the first
        after, rest = builder.phi(_WORD), builder.phi(_WORD)
        before = [builder.phi(_WORD) for _ in range(count)]
        axis = builder.sub(after, _WORD(1))
        size = word(constants, builder.add(axis, _WORD(3)))
        index, left = builder.srem(rest, size), builder.sdiv(rest, size)
        moved = []
        for k in range(count):
            strides = builder.add(builder.mul(axes, _WORD(k + 1)), _WORD(3 + k))
            step = builder.mul(index, word(constants, builder.add(axis, strides)))
            moved.append(builder.add(before[k], step))
        for phi, first, then in [
            (after, axes, axis),
            (rest, row, left),
            *zip(before, starts, moved, strict=True),
        ]:
            phi.add_incoming(first, entry)
            phi.add_incoming(then, loop)
        builder.cbranch(builder.icmp_signed(">", axis, _WORD(0)), loop, done)

        builder.position_at_end(done)
        out = cgutils.alloca_once(builder, _WORD, size=count)
        for k in range(count):
            address = builder.phi(_WORD)
            address.add_incoming(starts[k], entry)
            address.add_incoming(moved[k], loop)
            starts[k] = address
        for k, address in enumerate(starts):
            builder.store(address, builder.gep(out, [_WORD(k)], source_etype=_WORD))
        return out

    return types.CPointer(types.int64)(words, types.int64, operands), codegen
