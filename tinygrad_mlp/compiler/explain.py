"""What a compiled step does and costs, line by line, and what it takes for granted.

FLOPs: 2 M N K of a product; of a formula its operations, of a fold one, for each element; of other
kernels one for each element read. Bytes: what is read and written, each once. The share is that of
the roofline: the time that these would take at the machine's peak and bandwidth, whichever is
longer, over the time measured (S. Williams, A. Waterman and D. Patterson, "Roofline", CACM 52,
2009). What lies in a cache moves faster than memory, so a share may exceed 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels.codegen.expression import Expression
from ..ops.elementwise.declare import Elementwise
from ..ops.fused.matmul import MatMul
from ..ops.fused.optimizer_update import Update
from . import printer
from .guards import PLAIN
from .ir import STATE, Instruction, Region, as_captured, extent
from .profile import machine, times


@dataclass(frozen=True)
class Row:
    """One instruction: what it is, what it takes."""

    call: str
    shape: str
    kernels: int  # 0: it runs in Python
    flops: int
    nbytes: int
    seconds: float | None
    share: float | None


@dataclass(frozen=True)
class Explanation:
    """What `CompiledFunction.explain` found; prints as text."""

    rows: list[Row]
    seconds: float  # the whole step, in one
    peak: float  # FLOP/s
    bandwidth: float  # bytes/s
    phases: int
    arena: int  # bytes
    buffers: int  # bytes of all that lies in it, one beside the other
    watched: list[str]
    frozen: list[str]
    notes: list[str]

    def __str__(self) -> str:
        return "\n".join([*_table(self.rows), "", *self._summary(), *self._lists()])

    __repr__ = __str__

    def _summary(self) -> Iterator[str]:
        total = sum(row.seconds or 0.0 for row in self.rows)
        flops, nbytes = sum(r.flops for r in self.rows), sum(r.nbytes for r in self.rows)
        yield (
            f"the step: {self.seconds * 1e6:.1f} us as one ({total * 1e6:.1f} us kernel by "
            f"kernel), {flops / 1e6:.2f} MFLOP, {nbytes / 1e6:.2f} MB"
        )
        yield f"peak {self.peak / 1e9:.0f} GFLOP/s, bandwidth {self.bandwidth / 1e9:.1f} GB/s"
        yield f"{len(self.rows)} instructions in {self.phases} phases"
        yield f"arena of {self.arena} bytes for buffers of {self.buffers}"
        if python := [row.call for row in self.rows if not row.kernels]:
            yield f"in Python, at every run: {len(python)} of them, marked so"

    def _lists(self) -> Iterator[str]:
        for title, lines in (
            ("passes", self.notes),
            ("watched: a change captures anew, or goes back to what was captured", self.watched),
            ("frozen: as it was when captured", self.frozen),
        ):
            if lines:
                yield ""
                yield title
                yield from (f"  {line}" for line in lines)


def explain(compiled: Any, peak: float | None, bandwidth: float | None) -> Explanation:
    """Explain what ran last of a `CompiledFunction`."""
    kind = compiled.last
    program, executable = kind.executable.program, kind.executable
    inputs = list(executable.given) or [
        np.zeros(region.layout.shape, region.layout.dtype) for region in program.inputs
    ]
    if peak is None or bandwidth is None:
        floats = [
            r.layout.dtype
            for i in program.instructions
            for r in i.outputs
            if r.layout.dtype.kind == "f"
        ]
        measured = machine(floats[0] if floats else np.dtype("float32"))
        peak, bandwidth = peak or measured[0], bandwidth or measured[1]
    taken, whole = times(program, inputs)
    names = printer.Names(program)
    rows = [_row(i, names, taken.get(i), peak, bandwidth) for i in program.instructions]
    return Explanation(
        rows,
        whole,
        peak,
        bandwidth,
        executable.steps[-1].phase + 1 if executable.steps else 0,
        executable.arena_size,
        sum(buffer.nbytes for buffer in executable.addresses),
        list(_watched(compiled, kind)),
        list(_frozen(compiled, kind)),
        program.notes,
    )


def _row(
    instruction: Instruction, names: Any, seconds: float | None, peak: float, bandwidth: float
) -> Row:
    work = sum(map(flops, as_captured([instruction])))
    moved = nbytes(instruction)
    share = max(work / peak, moved / bandwidth) / seconds if seconds else None
    call, made = names.call(instruction), printer.shape(instruction)
    return Row(call, made, len(instruction.calls), work, moved, seconds, share)


def flops(instruction: Instruction) -> int:
    """The operations of an instruction, as the head of this file counts them."""
    op, inputs = instruction.op, instruction.inputs
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
    """The bytes that an instruction reads and writes, each region once a direction."""
    return _distinct(instruction.inputs) + _distinct(instruction.written)


def _distinct(regions: tuple[Region, ...]) -> int:
    found = {}
    for region in regions:
        low, high = extent(region.layout)
        found[region.buffer, region.offset + low] = min(high - low, region.layout.nbytes)
    return sum(found.values())


def _table(rows: list[Row]) -> Iterator[str]:
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


def _watched(compiled: Any, kind: Any) -> Iterator[str]:
    yield "shapes, dtypes and requires_grad of tensors, numbers among the arguments"
    yield "grad mode, default dtype, number of threads"
    around = compiled.surroundings
    for name, value in around.watched():
        if isinstance(value, PLAIN):
            yield f"{name} = {value!r}"
        else:
            yield f"{name}: which {type(value).__name__} it is"
    for name, _ in around.modules:
        yield f"{name}: its modes, attributes, parameters, hooks"
    for name, _ in around.optimizers:
        yield f"{name}: its groups and states, and what chooses its updates"
    if kind.without or kind.gradients_given:
        yield (
            f"gradients that tensors come with: {len(kind.gradients_given)} that are added to, "
            f"{len(kind.without)} that are not there"
        )


def _frozen(compiled: Any, kind: Any) -> Iterator[str]:
    for name, value in compiled.surroundings.frozen():
        if isinstance(value, np.ndarray):
            yield f"{name}: the elements of an array {value.shape}"
        elif isinstance(value, (list, tuple, dict)):
            yield f"{name}: the {len(value)} entries of a {type(value).__name__}"
        else:
            yield f"{name}, as {value!r}"
    program = kind.executable.program
    names = printer.Names(program)
    made: dict[Any, str] = {}
    for instruction in as_captured(program.instructions):
        for region in instruction.inputs:
            if region.buffer.kind == STATE and printer.anonymous(region.buffer):
                said = names(region)
                what = said if said != region.buffer.name else "made in Python, or not named"
                made[region.buffer] = f"a tensor, {printer.array(region)}: {what}"
    yield from made.values()
