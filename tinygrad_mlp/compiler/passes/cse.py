"""Common subexpressions: remove ops that repeat an op on the same arrays, and needless copies.

    %9 = exp(%3), and later  %14 = exp(%3)
    %26 = clone(%23)                 the gradient that arrives at a leaf, where %23 serves as well

The second is removed, and its readers read the first.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ...ops.elementwise.arithmetic import clone
from ..ir import STATE, TEMPORARY, Buffer, Instruction, KernelCall, Program, Region, Word


def remove_copies(program: Program) -> None:
    """Replace copies by what was copied."""
    rest: list[Instruction] = []
    replaced = _Replacements(program)
    for number, instruction in enumerate(program.instructions):
        source = instruction.inputs[0] if instruction.op is clone else None
        if source is None or not replaced.allowed(source, instruction, number):
            rest.append(instruction)
        else:
            replaced.add(instruction.outputs[0], source)
    replaced.apply(rest, "copies")


def remove_repetitions(program: Program) -> None:
    """Replace the results of an op that is repeated on the same arrays by those of the first."""
    first: dict[Any, Instruction] = {}
    rest: list[Instruction] = []
    replaced = _Replacements(program)
    for number, instruction in enumerate(program.instructions):
        op = instruction.op
        if instruction.in_python or op.mutates or op.python_only or instruction.parts:
            rest.append(instruction)
            continue
        inputs = tuple((replaced.of(r.buffer), r.offset, r.layout) for r in instruction.inputs)
        key = (id(op), inputs, tuple((k, repr(v)) for k, v in instruction.params.items()))
        before = first.setdefault(key, instruction)
        if before is not instruction and all(
            replaced.allowed(there, instruction, number, since=before) for there in before.outputs
        ):
            for here, there in zip(instruction.outputs, before.outputs, strict=True):
                replaced.add(here, there)
        else:
            rest.append(instruction)
            first[key] = instruction
    replaced.apply(rest, "repeated ops")


class _Replacements:
    """Buffers that are replaced by others in all instructions after."""

    def __init__(self, program: Program):
        self.program = program
        self.to: dict[Buffer, Region] = {}
        self.live_out = {region.buffer for region in program.live_out()}
        # Python code gets a copy of state, not the state, which it might change.
        python_only = any(instruction.op.python_only for instruction in program.instructions)
        self.roles = {TEMPORARY} if python_only else {TEMPORARY, STATE}
        self.number = {each: k for k, each in enumerate(program.instructions)}
        self.writers: dict[Buffer, list[int]] = {}
        for k, instruction in enumerate(program.instructions):
            for buffer in instruction.writes():
                self.writers.setdefault(buffer, []).append(k)

    def of(self, buffer: Buffer) -> Buffer:
        """Return the buffer that is read instead of ``buffer``."""
        return self.to[buffer].buffer if buffer in self.to else buffer

    def allowed(
        self, there: Region, copy: Instruction, number: int, since: Instruction | None = None
    ) -> bool:
        """Return whether ``there`` may replace the result of ``copy``, instruction ``number``.

        Both must be whole buffers that are not written again, and with ``since``, the inputs of
        ``copy`` must be unchanged since that instruction.
        """
        out = copy.outputs[0]
        start = number if since is None else self.number[since]
        last = start if there.buffer.role == TEMPORARY else -1  # a constant is never written
        unchanged = max(self.writers.get(there.buffer, [-1])) <= last and not any(
            start < at <= number for r in copy.inputs for at in self.writers.get(r.buffer, ())
        )
        whole = there.buffer.role in self.roles and there.is_whole and out.is_whole
        source = self.of(there.buffer)
        # Two results of the program cannot share memory.
        distinct = out.buffer not in self.live_out or (
            source.role == TEMPORARY and source not in self.live_out
        )
        return unchanged and whole and distinct and self.writers.get(out.buffer) == [number]

    def add(self, here: Region, there: Region) -> None:
        """Read ``there`` instead of ``here``."""
        self.to[here.buffer] = self.to.get(there.buffer, there)
        if here.buffer in self.live_out:
            self.live_out.add(self.to[here.buffer].buffer)

    def apply(self, rest: list[Instruction], what: str) -> None:
        """Rewrite the program as the instructions ``rest``, with the replacements."""
        program = self.program
        if not self.to:
            return
        program.notes.append(f"{what}: {len(program.instructions) - len(rest)} removed")
        program.instructions[:] = map(self._instruction, rest)
        program.results[:] = map(self._region, program.results)
        for k, (leaf, region) in enumerate(program.gradients):
            there = self._region(region)
            there.buffer.name = region.buffer.name
            program.gradients[k] = leaf, there

    def _region(self, region: Region) -> Region:
        return dataclasses.replace(region, buffer=self.of(region.buffer))

    def _word(self, word: Word) -> Word:
        if isinstance(word, int):
            return word
        return dataclasses.replace(word, buffer=self.of(word.buffer))

    def _instruction(self, each: Instruction) -> Instruction:
        calls = [KernelCall(call.launch, tuple(map(self._word, call.words))) for call in each.calls]
        inputs = tuple(map(self._region, each.inputs))
        return dataclasses.replace(each, inputs=inputs, calls=tuple(calls))
