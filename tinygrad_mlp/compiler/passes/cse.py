"""The same twice: copies of what nobody changes, and ops applied again to the same arrays.

    %26 = clone(%23)                 the gradient that arrives at a leaf, where %23 will do
    %9 = exp(%3), and later  %14 = exp(%3)

The second is left out, and what reads it reads the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ...ops.elementwise.arithmetic import clone
from ..ir import MADE, STATE, Buffer, Call, Instruction, Place, Program, Region


def without_copies(program: Program) -> None:
    """Let what reads a copy read what was copied."""
    kept: list[Instruction] = []
    moved = _Moved(program)
    for number, instruction in enumerate(program.instructions):
        source = instruction.inputs[0] if instruction.op is clone else None
        if source is None or not moved.may_stand_for(source, instruction, number):
            kept.append(instruction)
        else:
            moved.put(instruction.outputs[0], source)
    moved.finish(kept, "copies")


def without_repetitions(program: Program) -> None:
    """Let what reads a repeated result read the first."""
    first: dict[Any, Instruction] = {}
    kept: list[Instruction] = []
    moved = _Moved(program)
    for number, instruction in enumerate(program.instructions):
        op = instruction.op
        if instruction.in_python or op.mutates or op.python_only or instruction.parts:
            kept.append(instruction)
            continue
        places = tuple((moved.now(r.buffer), r.offset, r.layout) for r in instruction.inputs)
        key = (id(op), places, tuple((k, repr(v)) for k, v in instruction.params.items()))
        before = first.setdefault(key, instruction)
        pairs = list(zip(instruction.outputs, before.outputs, strict=True))
        if before is instruction or not all(
            moved.may_stand_for(there, instruction, number, since=before) for _, there in pairs
        ):
            kept.append(instruction)
            first[key] = instruction
            continue
        for here, there in pairs:
            moved.put(here, there)
    moved.finish(kept, "repeated ops")


class _Moved:
    """Buffers in the place of which others are read from now on."""

    def __init__(self, program: Program):
        self.program = program
        self.to: dict[Buffer, Region] = {}
        self.kept = {region.buffer for region in program.kept()}
        # State is not handed to Python in place of a copy: who knows what is done to it there.
        python_only = any(instruction.op.python_only for instruction in program.instructions)
        self.readable = {MADE} if python_only else {MADE, STATE}
        self.number = {i: k for k, i in enumerate(program.instructions)}
        self.writers: dict[Buffer, list[int]] = {}
        for k, instruction in enumerate(program.instructions):
            for buffer in instruction.writes():
                self.writers.setdefault(buffer, []).append(k)

    def now(self, buffer: Buffer) -> Buffer:
        """What is read in place of a buffer."""
        return self.to[buffer].buffer if buffer in self.to else buffer

    def may_stand_for(
        self, there: Region, copy: Instruction, number: int, since: Instruction | None = None
    ) -> bool:
        """Whether neither a region nor its copy, whole buffers both, is written to again.

        ``since``: nor what both are made from, since that instruction.
        """
        out = copy.outputs[0]
        begun = number if since is None else self.number[since]
        last = begun if there.buffer.kind == MADE else -1  # a constant is never written
        still = max(self.writers.get(there.buffer, [-1])) <= last and not any(
            begun < at <= number for r in copy.inputs for at in self.writers.get(r.buffer, ())
        )
        once = self.writers.get(out.buffer) == [number]
        plain = there.buffer.kind in self.readable and there.layout.contiguous and out.whole
        alike = there.layout.nbytes == there.buffer.nbytes and not there.offset
        source = self.now(there.buffer)
        free = out.buffer not in self.kept or (source.kind == MADE and source not in self.kept)
        return still and once and plain and alike and free

    def put(self, here: Region, there: Region) -> None:
        """Read ``there`` in place of ``here``."""
        self.to[here.buffer] = self.to.get(there.buffer, there)
        if here.buffer in self.kept:
            self.kept.add(self.to[here.buffer].buffer)

    def finish(self, kept: list[Instruction], what: str) -> None:
        """Write the program with what was moved."""
        program = self.program
        if not self.to:
            return
        program.notes.append(f"{what}: {len(program.instructions) - len(kept)} left out")
        program.instructions[:] = [self._instruction(each) for each in kept]
        program.results[:] = map(self._region, program.results)
        for k, (leaf, region) in enumerate(program.gradients):
            there = self._region(region)
            there.buffer.name = region.buffer.name
            program.gradients[k] = leaf, there

    def _region(self, region: Region) -> Region:
        there = self.to.get(region.buffer)
        if there is None:
            return region
        return Region(there.buffer, region.offset, region.layout)

    def _instruction(self, each: Instruction) -> Instruction:
        touched = {*each.reads(), *(region.buffer for region in each.inputs)}
        if not touched & self.to.keys():
            return each
        return dataclasses.replace(
            each, inputs=tuple(map(self._region, each.inputs)), calls=tuple(self._calls(each))
        )

    def _calls(self, each: Instruction) -> Iterator[Call]:
        for call in each.calls:
            yield Call(
                call.launch,
                tuple(
                    Place(self.to[word.buffer].buffer, word.offset)
                    if isinstance(word, Place) and word.buffer in self.to
                    else word
                    for word in call.words
                ),
            )
