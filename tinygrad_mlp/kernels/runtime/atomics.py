"""Intrinsics for threads: atomic words, a pause, yielding the core, and a clock."""

from __future__ import annotations

import platform
import sys
import time

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import Signature

from .llvm import WORD, Builder, Context, Value, call, emits

_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
_INT = ir.IntType(32)


def _pointer(builder: Builder, address: Value) -> Value:
    return builder.inttoptr(address, WORD.as_pointer())


@emits(types.int64(types.int64))
def atomic_load(context: Context, builder: Builder, signature: Signature, address: Value) -> Value:
    """Load the int64 at an address, with acquire semantics."""
    return builder.load_atomic(_pointer(builder, address), "seq_cst", 8, typ=WORD)


@emits(types.void(types.int64, types.int64))
def atomic_store(
    context: Context, builder: Builder, signature: Signature, address: Value, value: Value
) -> Value:
    """Store an int64 at an address, with release semantics."""
    builder.store_atomic(value, _pointer(builder, address), "release", 8)


@emits(types.int64(types.int64, types.int64))
def atomic_add(
    context: Context, builder: Builder, signature: Signature, address: Value, value: Value
) -> Value:
    """Add to the int64 at an address atomically; return the value before."""
    return builder.atomic_rmw("add", _pointer(builder, address), value, "seq_cst")


@emits(types.int64(types.int64, types.int64, types.int64))
def atomic_swap_if(
    context: Context,
    builder: Builder,
    signature: Signature,
    address: Value,
    expected: Value,
    value: Value,
) -> Value:
    """Compare and swap: store ``value`` if ``expected`` is there; return the value before."""
    pointer = _pointer(builder, address)
    both = builder.cmpxchg(pointer, expected, value, "seq_cst", "seq_cst")
    return builder.extract_value(both, 0)


@emits(types.void())
def pause(context: Context, builder: Builder, signature: Signature) -> Value:
    """Hint that this is a spin loop; does nothing where there is no such instruction."""
    if _X86:
        call(builder, "llvm.x86.sse2.pause", ir.VoidType())


@emits(types.void())
def yield_core(context: Context, builder: Builder, signature: Signature) -> Value:
    """Let another thread run on this core: ``sched_yield``, where there is one."""
    if sys.platform != "win32":
        call(builder, "sched_yield", _INT)


@emits(types.int64())
def nanoseconds(context: Context, builder: Builder, signature: Signature) -> Value:
    """Read the monotonic clock (POSIX ``clock_gettime``); 0 where there is none."""
    if sys.platform == "win32":
        return WORD(0)
    time_spec = cgutils.alloca_once(builder, WORD, size=2)  # seconds, nanoseconds
    call(builder, "clock_gettime", _INT, _INT(time.CLOCK_MONOTONIC), time_spec)
    seconds, rest = (
        builder.load(builder.gep(time_spec, [WORD(k)], source_etype=WORD), typ=WORD)
        for k in range(2)
    )
    return builder.add(builder.mul(seconds, WORD(1_000_000_000)), rest)
