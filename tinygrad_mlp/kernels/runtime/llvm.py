"""Emit LLVM code: intrinsics of kernels, calls, loops and phi nodes.

An intrinsic is a function that kernels call and whose LLVM code is written by hand: for
instructions that Numba does not have, and where Numba would take long to compile the same.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from llvmlite import ir
from numba.core import cgutils
from numba.core.typing import Signature
from numba.extending import intrinsic

WORD = ir.IntType(64)


def emits(typed: Signature | Callable, literal: bool = False) -> Callable:
    """Make an intrinsic of a function ``emit(context, builder, signature, *values)``.

    Args:
        typed: the Numba signature, or a function from the types of the arguments to it (or None).
        literal: whether constants among the arguments have literal types.
    """

    def decorate(emit: Callable) -> Callable:
        def codegen(context, builder, signature, values):
            result = emit(context, builder, signature, *values)
            return context.get_dummy_value() if result is None else result

        @functools.wraps(emit)
        def typing(typingctx, *arguments):
            signature = typed if isinstance(typed, Signature) else typed(*arguments)
            return (signature, codegen) if signature else None

        parameters = list(inspect.signature(emit).parameters.values())
        typing.__signature__ = inspect.Signature(parameters[2:])
        return intrinsic(prefer_literal=literal)(typing)

    return decorate


def call(builder, name, result, *arguments, **options):
    """Emit a call of the external function ``name``; return its result, of type ``result``."""
    declared = ir.FunctionType(result, [each.type for each in arguments])
    function = cgutils.get_or_insert_function(builder.module, declared, name)
    return builder.call(function, arguments, **options)


def merge(builder, *branches):
    """Emit phi nodes for values that come from several blocks, each given as (values, block)."""
    phis = [builder.phi(value.type) for value in branches[0][0]]
    for values, block in branches:
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, block)
    return phis


def loop(builder, name, starts, more, body):
    """Emit ``values = starts; while more(*values): values = body(*values)``; return the values."""
    entry = builder.block
    repeated, done = (builder.append_basic_block(f"{name}.{part}") for part in ("loop", "done"))
    builder.cbranch(more(*starts), repeated, done)
    builder.position_at_end(repeated)
    phis = merge(builder, (starts, entry))
    after = body(*phis)
    last = builder.block
    builder.cbranch(more(*after), repeated, done)
    for phi, value in zip(phis, after, strict=True):
        phi.add_incoming(value, last)
    builder.position_at_end(done)
    return merge(builder, (starts, entry), (after, last))
