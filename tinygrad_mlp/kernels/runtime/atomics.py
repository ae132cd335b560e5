"""Intrinsics for threads: atomic words, a pause, yielding the core, and a clock."""

from __future__ import annotations

import platform
import sys
import time

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WORD = ir.IntType(64)
_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")


def _at(builder, address):
    return builder.inttoptr(address, _WORD.as_pointer())


def _function(builder, name, result):
    kind = ir.FunctionType(result, [])
    return cgutils.get_or_insert_function(builder.module, kind, name)


@intrinsic
def atomic_load(typingctx, address):
    """Load the int64 at an address, with acquire semantics."""

    def codegen(context, builder, signature, arguments):
        return builder.load_atomic(_at(builder, arguments[0]), "seq_cst", 8, typ=_WORD)

    return types.int64(types.int64), codegen


@intrinsic
def atomic_store(typingctx, address, value):
    """Store an int64 at an address, with release semantics."""

    def codegen(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _at(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def atomic_add(typingctx, address, value):
    """Add to the int64 at an address atomically; return the value before."""

    def codegen(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _at(builder, arguments[0]), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def atomic_swap_if(typingctx, address, expected, value):
    """Compare and swap: store ``value`` if ``expected`` is there; return the value before."""

    def codegen(context, builder, signature, arguments):
        place = _at(builder, arguments[0])
        both = builder.cmpxchg(place, arguments[1], arguments[2], "seq_cst", "seq_cst")
        return builder.extract_value(both, 0)

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def pause(typingctx):
    """Hint that this is a spin loop; does nothing where there is no such instruction."""

    def codegen(context, builder, signature, arguments):
        if _X86:
            builder.call(_function(builder, "llvm.x86.sse2.pause", ir.VoidType()), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def yield_core(typingctx):
    """Let another thread run on this core: ``sched_yield``, where there is one."""

    def codegen(context, builder, signature, arguments):
        if sys.platform != "win32":
            builder.call(_function(builder, "sched_yield", ir.IntType(32)), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def nanoseconds(typingctx):
    """Read the monotonic clock (POSIX ``clock_gettime``); 0 where there is none."""

    def codegen(context, builder, signature, arguments):
        if sys.platform == "win32":
            return _WORD(0)
        time_spec = cgutils.alloca_once(builder, _WORD, size=2)  # seconds, nanoseconds
        clock = ir.IntType(32)(time.CLOCK_MONOTONIC)
        kind = ir.FunctionType(ir.IntType(32), [clock.type, time_spec.type])
        read = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(read, [clock, time_spec])
        seconds, rest = (
            builder.load(builder.gep(time_spec, [_WORD(k)], source_etype=_WORD), typ=_WORD)
            for k in range(2)
        )
        return builder.add(builder.mul(seconds, _WORD(1_000_000_000)), rest)

    return types.int64(), codegen
