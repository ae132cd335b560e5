"""Explain: what a compiled step does and costs, line by line, and what it depends on.

FLOPs: 2 M N K of a product; the operations of a formula for each element; one for each element read
by other kernels. Bytes: what is read and written, each once. The share is that of the roofline: the
time that these take at the machine's peak and bandwidth, whichever is longer, over the time
measured (S. Williams, A. Waterman and D. Patterson, "Roofline", CACM 52, 2009). A cache is faster
than memory, so a share may exceed 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.codegen.expression import Expression
from ..ops.elementwise.declare import Elementwise
from ..ops.fused.matmul import MatMul
from ..ops.fused.optimizer_update import Update
from . import printer
from .ir import STATE, Instruction, Region, as_captured, byte_range
from .profile import machine, measure
from .reachable import PLAIN_TYPES

if TYPE_CHECKING:
    from .compiled_function import CompiledFunction
    from .specialization import Specialization


@dataclass(frozen=True)
class InstructionCost:
    """One instruction in words, and its cost."""

    call: str
    shape: str
    kernels: int  # 0: it runs in Python
    flops: int
    nbytes: int
    seconds: float | None
    share: float | None


@dataclass(frozen=True)
class Explanation:
    """What `CompiledFunction.explain` returns; prints as text."""

    rows: list[InstructionCost]
    seconds: float  # the whole step, in one launch
    peak: float  # FLOP/s
    bandwidth: float  # bytes/s
    phases: int
    arena: int  # bytes
    buffers: int  # bytes of all buffers in the arena, if they did not share memory
    guards: list[str]
    frozen: list[str]
    notes: list[str]

    def __repr__(self) -> str:
        return "\n".join([*_table(self.rows), "", *self._summary(), *self._lists()])

    def _summary(self) -> Iterator[str]:
        total = sum(row.seconds or 0.0 for row in self.rows)
        flops, nbytes = sum(r.flops for r in self.rows), sum(r.nbytes for r in self.rows)
        yield (
            f"the step: {self.seconds * 1e6:.1f} us in one launch ({total * 1e6:.1f} us kernel by "
            f"kernel), {flops / 1e6:.2f} MFLOP, {nbytes / 1e6:.2f} MB"
        )
        yield f"peak {self.peak / 1e9:.0f} GFLOP/s, bandwidth {self.bandwidth / 1e9:.1f} GB/s"
        yield f"{len(self.rows)} instructions in {self.phases} phases"
        yield f"arena of {self.arena} bytes for buffers of {self.buffers}"
        if count := sum(not row.kernels for row in self.rows):
            yield f"in Python, at every run: {count} instructions"

    def _lists(self) -> Iterator[str]:
        for title, lines in (
            ("passes", self.notes),
            ("guards: after a change the step is captured again", self.guards),
            ("frozen: as it was when captured", self.frozen),
        ):
            if lines:
                yield from ("", title, *(f"  {line}" for line in lines))


def explain(
    compiled: CompiledFunction[Any, Any], peak: float | None, bandwidth: float | None
) -> Explanation:
    """Explain the program of a compiled function that ran last."""
    last = compiled.last
    assert last is not None
    executable, program = last.executable, last.executable.program
    inputs = list(executable.bound) or [
        np.zeros(region.layout.shape, region.layout.dtype) for region in program.inputs
    ]
    if peak is None or bandwidth is None:
        dtypes = [r.layout.dtype for i in program.instructions for r in i.outputs]
        floats = [dtype for dtype in dtypes if dtype.kind == "f"]
        measured = machine(floats[0] if floats else np.dtype("float32"))
        peak, bandwidth = peak or measured[0], bandwidth or measured[1]
    seconds, whole = measure(program, inputs)
    names = printer.Names(program)
    costs = []
    for i in program.instructions:
        work, moved, time = sum(map(flops, as_captured([i]))), nbytes(i), seconds.get(i)
        share = max(work / peak, moved / bandwidth) / time if time else None
        words = names.call(i), printer.result_shape(i)
        costs.append(InstructionCost(*words, len(i.calls), work, moved, time, share))
    return Explanation(
        costs,
        whole,
        peak,
        bandwidth,
        executable.steps[-1].phase + 1 if executable.steps else 0,
        executable.arena_size,
        sum(buffer.nbytes for buffer in executable.addresses),
        list(_guards(compiled, last)),
        list(_frozen(compiled, last)),
        program.notes,
    )


def flops(instruction: Instruction) -> int:
    """Return the operations of an instruction, counted as described at the top of this file."""
    inputs = instruction.inputs
    op: Any = getattr(instruction.op, "inner", instruction.op)  # of an op per slice
    size = max((r.layout.size for r in instruction.outputs), default=0)
    if isinstance(op, MatMul):
        return size * (2 * inputs[0].layout.shape[-1] + len(inputs) - 2)
    if isinstance(op, Elementwise):
        return size * _operations(op.expression)
    if isinstance(op, Update):
        return size * _operations(*op.trace(instruction.params))
    return max((r.layout.size for r in inputs), default=size)


def _operations(*expressions: Expression) -> int:
    seen: dict[int, Expression] = {}
    stack = list(expressions)
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            stack.extend(node.arguments)
    return sum(node.operator not in ("input", "constant") for node in seen.values())


def nbytes(instruction: Instruction) -> int:
    """Return the bytes that an instruction reads and writes, each region once per direction."""
    return _distinct_bytes(instruction.inputs) + _distinct_bytes(instruction.written)


def _distinct_bytes(regions: tuple[Region, ...]) -> int:
    found = {}
    for region in regions:
        low, high = byte_range(region.layout)
        found[region.buffer, region.offset + low] = min(high - low, region.layout.nbytes)
    return sum(found.values())


def _table(rows: list[InstructionCost]) -> Iterator[str]:
    width = min(max((len(row.call) for row in rows), default=0), 60)
    titles = f"{'kernels':>7} {'kFLOP':>8} {'kB':>8} {'us':>9} {'share':>5}"
    yield f"{'':>4}  {'instruction':<{width}}  {'shape':<22} {titles}"
    for number, row in enumerate(rows, 1):
        call = row.call if len(row.call) <= width else row.call[: width - 3] + "..."
        taken = "in Python" if not row.kernels else f"{(row.seconds or 0) * 1e6:.2f}"
        share = "" if row.share is None else f"{row.share:.2f}"
        counts = f"{row.kernels:>7} {row.flops / 1e3:>8.1f} {row.nbytes / 1e3:>8.1f}"
        line = f"{number:>4}  {call:<{width}}  {row.shape:<22} {counts} {taken:>9} {share:>5}"
        yield line.rstrip()


def _guards(compiled: CompiledFunction[Any, Any], last: Specialization) -> Iterator[str]:
    found = compiled.context.found
    yield "shapes, dtypes and requires_grad of tensors, numbers among the arguments"
    yield "grad mode, default dtype, number of threads"
    for name, value in found.watched():
        plain = isinstance(value, PLAIN_TYPES)
        yield f"{name} = {value!r}" if plain else f"{name}: which {type(value).__name__} it is"
    for watch in last.watches:
        yield watch.describe()
    for name, _ in found.modules:
        yield f"{name}: its modes, attributes, parameters, hooks"
    for name, _ in found.optimizers:
        yield f"{name}: its groups and states, and the options that choose its updates"
    if last.without_grad or last.given_gradients:
        yield (
            f"gradients before the step: {len(last.given_gradients)} that are added to, "
            f"{len(last.without_grad)} that are None"
        )


def _frozen(compiled: CompiledFunction[Any, Any], last: Specialization) -> Iterator[str]:
    program = last.executable.program
    names = printer.Names(program)
    found: dict[Any, str] = {}
    for instruction in as_captured(program.instructions):
        for region in instruction.inputs:
            if region.buffer.role == STATE and printer.is_anonymous(region.buffer):
                name = names(region)
                what = name if name != region.buffer.name else "made in Python, or without a name"
                found[region.buffer] = f"a tensor, {printer.dtype_and_shape(region)}: {what}"
    yield from found.values()
