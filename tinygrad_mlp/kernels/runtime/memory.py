"""Raw memory for kernels: typed pointers made from addresses, and calls through an address.

Every kernel has the one signature ``kernel(arguments, thread, threads)``.
``arguments`` is the address of a row of int64 words: word 0 points at the kernel's constants
(sizes, strides), the words after it are the addresses of its inputs, then of its outputs.
"""

from __future__ import annotations

import threading

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

SIGNATURE = types.void(types.int64, types.int64, types.int64)

_WORD = ir.IntType(64)


@intrinsic
def pointer(typingctx, address, dtype):
    """Return a typed pointer, as in ``pointer(address, float32)[i]``. Bounds are not checked."""
    signature = types.CPointer(dtype.dtype)(types.int64, dtype)

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return signature, codegen


@intrinsic
def words_of(typingctx, arguments):
    """Return a kernel's argument words and its constants, both as pointers to int64."""
    word = types.CPointer(types.int64)

    def codegen(context, builder, signature, values):
        words = builder.inttoptr(values[0], _WORD.as_pointer())
        constants = builder.inttoptr(builder.load(words, typ=_WORD), _WORD.as_pointer())
        return context.make_tuple(builder, signature.return_type, [words, constants])

    return types.UniTuple(word, 2)(types.int64), codegen


@intrinsic
def call_address(typingctx, function, arguments, thread, threads):
    """Call the kernel at an address."""
    signature = types.void(types.int64, types.int64, types.int64, types.int64)

    def codegen(context, builder, signature, values):
        kernel_type = ir.FunctionType(ir.VoidType(), [_WORD, _WORD, _WORD])
        kernel = builder.inttoptr(values[0], kernel_type.as_pointer())
        builder.call(kernel, values[1:])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def words_on_stack(typingctx, words):
    """Return the address of a tuple of words, stored on the stack of the calling function."""
    signature = types.int64(words)

    def codegen(context, builder, signature, arguments):
        spilled = cgutils.alloca_once_value(builder, arguments[0])
        return builder.ptrtoint(spilled, _WORD)

    return signature, codegen


@intrinsic(prefer_literal=True)
def on_stack(typingctx, count, dtype):
    """Return a pointer to ``count`` elements (a constant) on the stack, aligned for any vector.

    It is for a kernel's small arrays: no cost at run time, half the compile time of ``np.empty``.
    No other pointer can alias them, so loops over them vectorise.
    """
    signature = types.CPointer(dtype.dtype)(count, dtype)

    def codegen(context, builder, signature, arguments):
        kind = context.get_value_type(signature.return_type).pointee
        return _room(builder, kind, count.literal_value)

    return signature, codegen


@intrinsic(prefer_literal=True)
def room_on_stack(typingctx, size):
    """Return the address of ``size`` bytes (a constant) on the stack of the calling function."""

    def codegen(context, builder, signature, arguments):
        return builder.ptrtoint(_room(builder, ir.IntType(8), size.literal_value), _WORD)

    return types.int64(size), codegen


def _room(builder, kind, count):
    memory = cgutils.alloca_once(builder, kind, ir.Constant(_WORD, count))
    memory.align = 64
    return memory


def address_of(array: np.ndarray) -> int:
    """Return the address of an array's first element; the array may be read-only or strided."""
    return array.__array_interface__["data"][0]


class _Scratch(threading.local):
    def __init__(self):
        self.array, self.address, self.size = np.empty(0, np.uint8), 0, 0


_scratch = _Scratch()


def scratch(size: int) -> int:
    """Return the address of ``size`` bytes, aligned to 64, until this thread's next kernel."""
    if _scratch.array.size < size + 64:
        _scratch.array = np.empty(size + 64, np.uint8)
        _scratch.address = -(-address_of(_scratch.array) // 64) * 64
    _scratch.size = size
    return _scratch.address


def last_scratch() -> tuple[int, int]:
    """Return the address and the size of this thread's last `scratch`."""
    return _scratch.address, _scratch.size
