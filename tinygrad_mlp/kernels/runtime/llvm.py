"""Emit LLVM code: intrinsics of kernels, calls, loops and phi nodes.

An intrinsic is a function that kernels call and whose LLVM code is written by hand: for
instructions that Numba does not have, and where Numba would take long to compile the same.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from llvmlite import ir
from numba.core import cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

WORD = ir.IntType(64)

# llvmlite has no annotations: to the type checker these are names of Any.
Context: TypeAlias = Any  # Numba's target context
Builder: TypeAlias = Any  # llvmlite's IRBuilder
Value: TypeAlias = Any  # llvmlite's Value, or a type of it
Emit: TypeAlias = Callable[..., Value]


def emits(
    typed: Signature | Callable[..., Any], literal: bool = False
) -> Callable[[Emit], Callable[..., Any]]:
    """Make an intrinsic of a function ``emit(context, builder, signature, *values)``.

    Args:
        typed: the Numba signature, or a function from the types of the arguments to it (or None).
        literal: whether constants among the arguments have literal types.
    """

    def decorate(emit: Emit) -> Callable[..., Any]:
        def codegen(
            context: Context, builder: Builder, signature: Signature, values: Sequence[Value]
        ) -> Value:
            result = emit(context, builder, signature, *values)
            return context.get_dummy_value() if result is None else result

        @functools.wraps(emit)
        def typing(typingctx: Any, *arguments: Any) -> tuple[Signature, Emit] | None:
            signature = typed if isinstance(typed, Signature) else typed(*arguments)
            return (signature, codegen) if signature else None

        parameters = list(inspect.signature(emit).parameters.values())
        typing.__signature__ = inspect.Signature(parameters[2:])  # type: ignore[attr-defined]
        made: Callable[..., Any] = intrinsic(prefer_literal=literal)(typing)
        return made

    return decorate


def call(builder: Builder, name: str, result: Value, *arguments: Value, **options: Any) -> Value:
    """Emit a call of the external function ``name``; return its result, of type ``result``."""
    declared = ir.FunctionType(result, [each.type for each in arguments])
    function = cgutils.get_or_insert_function(builder.module, declared, name)
    return builder.call(function, arguments, **options)


def merge(builder: Builder, *branches: tuple[Sequence[Value], Value]) -> list[Value]:
    """Emit phi nodes for values that come from several blocks, each given as (values, block)."""
    phis = [builder.phi(value.type) for value in branches[0][0]]
    for values, block in branches:
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, block)
    return phis


def loop(
    builder: Builder,
    name: str,
    starts: Sequence[Value],
    more: Callable[..., Value],
    body: Callable[..., Sequence[Value]],
) -> list[Value]:
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
