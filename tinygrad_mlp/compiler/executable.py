"""A program on memory: the arena, the argument words of each kernel, and the table of rows.

This is where buffers get addresses. The words of all kernels lie in one array; those that lead to
an input are written anew when another array comes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import modes, tape
from ..autograd.values import as_array, from_array
from ..kernels.runtime import threads
from ..kernels.runtime.executor import TIMES, TableRow, build_program
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.memory import address_of
from ..kernels.runtime.storage import Storage
from .autotune import Pace
from .ir import INPUT, MADE, STATE, Buffer, Instruction, Place, Program, Region
from .memory_plan import arrange
from .schedule import Step, schedule

_LINE = 64


class Executable:
    """A program that runs: ``run(inputs)``, once or many times in a row."""

    def __init__(self, source: Program):
        self.program = source
        self.steps = schedule(source.instructions)
        offsets, self.arena_size = arrange(source, self.steps)
        self.memory = np.zeros(self.arena_size + _LINE, np.uint8)
        base = -(-address_of(self.memory) // _LINE) * _LINE
        self.storage = Storage(self.memory, base, base - address_of(self.memory))
        self.addresses = {buffer: base + offset for buffer, offset in offsets.items()}
        # Of each input buffer, which argument says where it lies, and how far into it that begins.
        self.inputs: dict[Buffer, tuple[int, int]] = {}
        for k, region in enumerate(source.inputs):
            self.inputs.setdefault(region.buffer, (k, region.offset))
        self.given: Sequence[Any] = ()  # the tensors that are bound
        self.bound = [0] * len(self.inputs)  # where they lie
        self.early_exits: dict[int, list[Region]] = {}  # the error flags, by the part they are in
        self.parts = self._parts()
        self.work = {part: part.work for part in self.parts if isinstance(part, Launch)}  # once
        self.pace = Pace(sum(self.work.values()), threads.SMALL, threads.get_num_threads())

    # --- building ---

    def address(self, buffer: Buffer) -> int:
        """Where a buffer lies; 0 for an input, until it comes."""
        if buffer.kind == STATE:
            return buffer.address
        return 0 if buffer.kind == INPUT else self.addresses[buffer]

    def _parts(self) -> list[Launch | Instruction]:
        """The program cut where Python has to do something."""
        words: list[int] = []
        starts: list[int] = []
        at_input: dict[Buffer, list[tuple[int, int]]] = {buffer: [] for buffer in self.inputs}
        for step in self.steps:
            starts.append(len(words))
            if step.call is None:
                continue
            words.append(step.call.launch.constants_address)
            for word in step.call.words:
                if isinstance(word, Place):
                    if word.buffer.kind == INPUT:
                        at_input[word.buffer].append((len(words), word.offset))
                    words.append(self.address(word.buffer) + word.offset)
                else:
                    words.append(word)
        self.words = np.array([*words, 0], np.int64)
        self.writable = memoryview(self.words.data)
        self.at_input = [(*self.inputs[buffer], found) for buffer, found in at_input.items()]
        return self._cut([address_of(self.words) + 8 * start for start in starts])

    def _cut(self, arguments: list[int]) -> list[Launch | Instruction]:
        parts: list[Launch | Instruction] = []
        rows: list[TableRow] = []
        work = 0.0

        def close() -> None:
            if rows:
                parts.append(build_program(rows, work))

        for k, step in enumerate(self.steps):
            if step.error_flag is not None:
                self.early_exits.setdefault(len(parts), []).append(step.error_flag)
                word = self.address(step.error_flag.buffer) + step.error_flag.offset
                rows.append(TableRow(0, word, barrier=step.barrier))
                continue
            if step.call is None:
                close()
                rows, work = [], 0.0
                parts.append(step.instruction)
                continue
            kernel = step.call.launch.kernel
            rows.append(TableRow(kernel, arguments[k], step.threads, step.first, step.barrier))
            work += step.call.launch.work
        close()
        return parts

    # --- running ---

    def bind(self, inputs: Sequence[Any]) -> None:
        """Let the program read its inputs where these tensors lie."""
        self.given = inputs
        words, bound = self.writable, self.bound
        for number, (k, begin, places) in enumerate(self.at_input):
            address = inputs[k].address - begin
            if address != bound[number]:
                for at, offset in places:
                    words[at] = address + offset
                bound[number] = address

    def run(self, inputs: Sequence[Any], times: int = 1) -> None:
        """Run on these inputs, ``times`` times in a row or until a gate ends it.

        Without steps into Python that is one launch, or several of a moment where it is tried out
        whether threads pay: Ctrl-C waits for the end of one, and never cuts a run.
        """
        self.bind(inputs)
        while times:
            now, watched = self.pace.next(times)
            began = time.perf_counter() if watched else 0.0
            self._run(now)
            times -= now
            if (watched or times) and any(map(self._stopped, self.early_exits)):
                return  # after fewer runs than wanted, which say nothing of how long one takes
            if watched:
                self.pace.took(time.perf_counter() - began, now)

    def _run(self, times: int) -> None:
        if len(self.parts) == 1 and isinstance(self.parts[0], Launch):
            self._launch(self.parts[0], times)
            return
        for _ in range(times):
            for k, part in enumerate(self.parts):
                if not isinstance(part, Launch):
                    self._in_python(part)
                    continue
                self._launch(part, 1)
                if self._stopped(k):
                    return

    def _stopped(self, part: int) -> bool:
        """Whether a gate in this part has ended the program."""
        return any(as_array(self.value(word)).item() for word in self.early_exits.get(part, ()))

    def _launch(self, part: Launch, times: int) -> None:
        part.constants[TIMES] = times
        if self.pace.shared:
            part.work = self.work[part] * times
            part.run((part.constants_address,))
        else:
            part.run_alone((part.constants_address,))

    def value(self, region: Region) -> Any:
        """A tensor on the memory of a region."""
        buffer = region.buffer
        if buffer.kind == STATE:
            return tape.new(buffer.owner, region.layout, buffer.address + region.offset)
        if buffer.kind == INPUT:
            k, begin = self.inputs[buffer]
            given = self.given[k]
            return tape.new(given.storage, region.layout, given.address - begin + region.offset)
        return tape.new(self.storage, region.layout, self.addresses[buffer] + region.offset)

    def _in_python(self, instruction: Instruction) -> None:
        """Let an op run itself, and put what it makes where the program looks for it."""
        inputs = tuple(map(self.value, instruction.inputs))
        if instruction.op.python_only:  # it may keep them until its gradient is asked for
            inputs = tuple(
                from_array(as_array(value)) if region.buffer.kind == MADE else value
                for value, region in zip(inputs, instruction.inputs, strict=True)
            )
        with modes.grad_mode(False):
            outputs = instruction.op.run(inputs, instruction.params)
        for region, output in zip(instruction.outputs, outputs, strict=True):
            target = self.value(region)
            if (
                output.layout.shape != region.layout.shape
                or output.layout.dtype != region.layout.dtype
            ):
                raise RuntimeError(
                    f"`{instruction.name}` made {output.layout.dtype} {output.layout.shape} when "
                    f"the step was captured it made {region.layout.dtype} {region.layout.shape}: "
                    "in a compiled step shapes may not depend on values. Take @tg.compile off"
                )
            if output.address != target.address:
                as_array(target)[...] = as_array(output)


def phases(steps: list[Step]) -> int:
    """How often the threads meet, and once more."""
    return steps[-1].phase + 1 if steps else 0
