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
from numba.core.typing.templates import Signature

from .llvm import WORD, Builder, Context, Value, emits

SIGNATURE = types.void(types.int64, types.int64, types.int64)


@emits(lambda address, dtype: types.CPointer(dtype.dtype)(types.int64, dtype))
def pointer(
    context: Context, builder: Builder, signature: Signature, address: Value, dtype: Value
) -> Value:
    """Return a typed pointer, as in ``pointer(address, float32)[i]``. Bounds are not checked."""
    return builder.inttoptr(address, context.get_value_type(signature.return_type))


@emits(types.UniTuple(types.CPointer(types.int64), 2)(types.int64))
def words_of(context: Context, builder: Builder, signature: Signature, arguments: Value) -> Value:
    """Return a kernel's argument words and its constants, both as pointers to int64."""
    words = builder.inttoptr(arguments, WORD.as_pointer())
    constants = builder.inttoptr(builder.load(words, typ=WORD), WORD.as_pointer())
    return context.make_tuple(builder, signature.return_type, [words, constants])


@emits(types.void(types.int64, types.int64, types.int64, types.int64))
def call_address(
    context: Context,
    builder: Builder,
    signature: Signature,
    function: Value,
    arguments: Value,
    thread: Value,
    threads: Value,
) -> Value:
    """Call the kernel at an address."""
    kernel_type = ir.FunctionType(ir.VoidType(), [WORD, WORD, WORD])
    kernel = builder.inttoptr(function, kernel_type.as_pointer())
    builder.call(kernel, [arguments, thread, threads])


@emits(lambda words: types.int64(words))
def words_on_stack(context: Context, builder: Builder, signature: Signature, words: Value) -> Value:
    """Return the address of a tuple of words, stored on the stack of the calling function."""
    return builder.ptrtoint(cgutils.alloca_once_value(builder, words), WORD)


@emits(lambda count, dtype: types.CPointer(dtype.dtype)(count, dtype), literal=True)
def on_stack(
    context: Context, builder: Builder, signature: Signature, count: Value, dtype: Value
) -> Value:
    """Return a pointer to ``count`` elements (a constant) on the stack, aligned for any vector.

    It is for a kernel's small arrays: no cost at run time, half the compile time of ``np.empty``.
    No other pointer can alias them, so loops over them vectorise.
    """
    element = context.get_value_type(signature.return_type).pointee
    return _room(builder, element, signature.args[0].literal_value)


@emits(lambda size: types.int64(size), literal=True)
def room_on_stack(context: Context, builder: Builder, signature: Signature, size: Value) -> Value:
    """Return the address of ``size`` bytes (a constant) on the stack of the calling function."""
    return builder.ptrtoint(_room(builder, ir.IntType(8), signature.args[0].literal_value), WORD)


def _room(builder: Builder, element: Value, count: int) -> Value:
    memory = cgutils.alloca_once(builder, element, ir.Constant(WORD, count))
    memory.align = 64
    return memory


def address_of(array: np.ndarray) -> int:
    """Return the address of an array's first element; the array may be read-only or strided."""
    address: int = array.__array_interface__["data"][0]
    return address


def new_bytes(size: int, purpose: str, zeros: bool = False) -> np.ndarray:
    """Return an array of ``size`` bytes.

    Raises:
        MemoryError: there is not so much memory; the message names ``purpose``.
    """
    try:
        return np.zeros(size, np.uint8) if zeros else np.empty(size, np.uint8)
    except (MemoryError, ValueError):  # NumPy's error where the size is no address
        raise MemoryError(f"cannot allocate {size:,} bytes for {purpose}") from None


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.array, self.address, self.size = np.empty(0, np.uint8), 0, 0


_scratch = _Scratch()


def scratch(size: int) -> int:
    """Return the address of ``size`` bytes, aligned to 64, until this thread's next kernel."""
    if _scratch.array.size < size + 64:
        _scratch.array = new_bytes(size + 64, "the working memory of a kernel")
        _scratch.address = -(-address_of(_scratch.array) // 64) * 64
    _scratch.size = size
    return _scratch.address


def last_scratch() -> tuple[int, int]:
    """Return the address and the size of this thread's last `scratch`."""
    return _scratch.address, _scratch.size
