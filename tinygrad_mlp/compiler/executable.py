"""Executable: a program with memory. The arena, the argument words of each kernel, the table.

Here buffers get addresses. The argument words of all kernels lie in one array. Those that point
into an input are rewritten when another tensor is passed.
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
from ..kernels.runtime.memory import address_of, new_bytes
from ..kernels.runtime.storage import Storage
from .autotune import Autotuner
from .ir import INPUT, STATE, TEMPORARY, Buffer, Instruction, Program, Region
from .memory_plan import arrange
from .schedule import schedule

_LINE = 64


class Executable:
    """A program that runs: ``run(inputs)``, once or many times in a row."""

    def __init__(self, source: Program):
        self.program = source
        self.steps = schedule(source.instructions)
        offsets, self.arena_size = arrange(source, self.steps)
        what = "the temporary buffers of a compiled function"
        self.memory = new_bytes(self.arena_size + _LINE, what, zeros=True)
        base = -(-address_of(self.memory) // _LINE) * _LINE
        self.storage = Storage(self.memory, base, base - address_of(self.memory))
        self.addresses = {buffer: base + offset for buffer, offset in offsets.items()}
        # The argument that an input buffer belongs to, and the offset of the argument in it.
        self.inputs: dict[Buffer, tuple[int, int]] = {}
        for k, region in enumerate(source.inputs):
            self.inputs.setdefault(region.buffer, (k, region.offset))
        self.bound: Sequence[Any] = ()  # the tensors passed last
        self.bound_addresses = [0] * len(self.inputs)
        self.early_exits: dict[int, list[Region]] = {}  # the error flags, by part
        self.parts = self._parts()
        self.work = {part: part.work for part in self.parts if isinstance(part, Launch)}
        work, count = sum(self.work.values()), threads.get_num_threads()
        self.autotuner = Autotuner(work, threads.SMALL, count)

    # --- building ---

    def address(self, buffer: Buffer) -> int:
        """Return the address of a buffer; 0 for an input, until one is bound."""
        if buffer.role == STATE:
            return buffer.address
        return 0 if buffer.role == INPUT else self.addresses[buffer]

    def _parts(self) -> list[Launch | Instruction]:
        """Write the argument words, and cut the program where it returns to Python."""
        words: list[int] = []
        starts: list[int] = []
        in_inputs: dict[Buffer, list[tuple[int, int]]] = {buffer: [] for buffer in self.inputs}
        for step in self.steps:
            starts.append(len(words))
            if step.call is None:
                continue
            words.append(step.call.launch.constants_address)
            for word in step.call.words:
                if isinstance(word, int):
                    words.append(word)
                    continue
                if word.buffer.role == INPUT:
                    in_inputs[word.buffer].append((len(words), word.offset))
                words.append(self.address(word.buffer) + word.offset)
        self.words = np.array([*words, 0], np.int64)
        self.word_view = memoryview(self.words.data)
        self.input_words = [(*self.inputs[buffer], found) for buffer, found in in_inputs.items()]
        return self._cut([address_of(self.words) + 8 * start for start in starts])

    def _cut(self, arguments: list[int]) -> list[Launch | Instruction]:
        parts: list[Launch | Instruction] = []
        rows: list[TableRow] = []
        work = 0.0
        for k, step in enumerate(self.steps):
            if step.error_flag is not None:
                self.early_exits.setdefault(len(parts), []).append(step.error_flag)
                word = self.address(step.error_flag.buffer) + step.error_flag.offset
                rows.append(TableRow(0, word, barrier=step.barrier))
            elif step.call is not None:
                kernel = step.call.launch.kernel
                rows.append(TableRow(kernel, arguments[k], step.threads, step.first, step.barrier))
                work += step.call.launch.work
            else:
                parts += [build_program(rows, work)] if rows else []
                parts.append(step.instruction)
                rows, work = [], 0.0
        return [*parts, build_program(rows, work)] if rows else parts

    # --- running ---

    def bind(self, inputs: Sequence[Any]) -> None:
        """Make the program read its inputs from these tensors."""
        self.bound = inputs
        words, bound = self.word_view, self.bound_addresses
        for number, (k, offset, places) in enumerate(self.input_words):
            address = inputs[k].address - offset
            if address != bound[number]:
                for at, in_buffer in places:
                    words[at] = address + in_buffer
                bound[number] = address

    def run(self, inputs: Sequence[Any], times: int = 1) -> None:
        """Run on these inputs, ``times`` times in a row or until an early exit.

        A program that does not return to Python is one launch, or several short ones while it is
        autotuned. Ctrl-C waits for the end of a launch, so it never interrupts a run.
        """
        self.bind(inputs)
        while times:
            now, timed = self.autotuner.next_runs(times)
            start = time.perf_counter() if timed else 0.0
            self._run(now)
            times -= now
            if (timed or times) and any(map(self._exited, self.early_exits)):
                return  # after fewer runs, so the time is not comparable
            if timed:
                self.autotuner.record(time.perf_counter() - start, now)

    def _run(self, times: int) -> None:
        if len(self.parts) == 1 and isinstance(self.parts[0], Launch):
            self._launch(self.parts[0], times)
            return
        for _ in range(times):
            for k, part in enumerate(self.parts):
                if not isinstance(part, Launch):
                    self._run_in_python(part)
                    continue
                self._launch(part, 1)
                if self._exited(k):
                    return

    def _exited(self, part: int) -> bool:
        """Return whether an error flag in this part has ended the program."""
        return any(as_array(self.value(flag)).item() for flag in self.early_exits.get(part, ()))

    def _launch(self, part: Launch, times: int) -> None:
        part.constants[TIMES] = times
        if self.autotuner.shared:
            part.work = self.work[part] * times
            part.run((part.constants_address,))
        else:
            part.run_alone((part.constants_address,))

    def value(self, region: Region) -> Any:
        """Return a tensor on the memory of a region."""
        buffer = region.buffer
        if buffer.role == INPUT:
            k, offset = self.inputs[buffer]
            storage, address = self.bound[k].storage, self.bound[k].address - offset
        else:
            storage = buffer.owner if buffer.role == STATE else self.storage
            address = buffer.address if buffer.role == STATE else self.addresses[buffer]
        return tape.new(storage, region.layout, address + region.offset)

    def _run_in_python(self, instruction: Instruction) -> None:
        """Run an op in Python, and copy its results into the program's memory."""
        inputs = tuple(map(self.value, instruction.inputs))
        if instruction.op.python_only:  # a user's Function may keep its inputs
            inputs = tuple(
                from_array(as_array(value)) if region.buffer.role == TEMPORARY else value
                for value, region in zip(inputs, instruction.inputs, strict=True)
            )
        with modes.grad_mode(False):
            outputs = instruction.op.run(inputs, instruction.params)
        for region, output in zip(instruction.outputs, outputs, strict=True):
            target, made, wanted = self.value(region), output.layout, region.layout
            if (made.shape, made.dtype) != (wanted.shape, wanted.dtype):
                raise RuntimeError(
                    f"`{instruction.name}` returned {made.dtype} {made.shape}, but when the step "
                    f"was captured {wanted.dtype} {wanted.shape}: in a compiled step shapes may "
                    "not depend on values. Remove @tg.compile"
                )
            if output.address != target.address:
                as_array(target)[...] = as_array(output)
