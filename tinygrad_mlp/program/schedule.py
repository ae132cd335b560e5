"""When each kernel of a program runs: in which phase, and by which threads.

Kernels of one phase run side by side; between two phases all threads meet. A kernel comes into the
first phase in which all that it reads is written, and nobody any more reads or writes what it
writes:

    phase(k) = 1 + max phase of the kernels before k that write what k reads or writes,
                                       or that read what k writes

So a layer's weights are updated beside the product that carries the gradient on, and all small
updates at the end cost one meeting together.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..kernels.executor import MANY
from .ir import Buffer, Call, Instruction

SHARED = 3_000  # work, in about nanoseconds on one thread, that pays for several inside a program


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel at its time: which threads run it, and whether all meet after it."""

    instruction: Instruction
    call: Call | None  # None: back to Python
    phase: int
    threads: int  # at most
    first: int  # the first of the threads


def schedule(instructions: list[Instruction]) -> list[Step]:
    """The kernels of a program in the order of their phases."""
    written: dict[Buffer, int] = {}  # the last phase that writes a buffer
    read: dict[Buffer, int] = {}
    floor = 0  # nothing crosses a step into Python
    placed: list[tuple[int, Instruction, Call | None]] = []
    for instruction in instructions:
        reads, writes = instruction.reads(), instruction.writes()
        phase = max([floor, *(written.get(b, -1) + 1 for b in reads | writes),
                     *(read.get(b, -1) + 1 for b in writes)])  # fmt: skip
        if instruction.in_python:
            phase = max([floor, *(p + 1 for p, _, _ in placed)])
        last = phase + max(len(instruction.calls), 1) - 1
        placed += [(phase + k, instruction, call) for k, call in enumerate(instruction.calls)]
        if instruction.in_python:
            placed.append((phase, instruction, None))
            floor = phase + 1
        written |= dict.fromkeys(writes, last)
        read |= {b: max(read.get(b, -1), last) for b in reads}
    placed.sort(key=lambda each: each[0])  # stable: in a phase, in the order of the program
    return _shared_out(placed)


def _shared_out(placed: list[tuple[int, Instruction, Call | None]]) -> list[Step]:
    """Small kernels go to one thread each, in turn; the others to all of them."""
    steps, turn, current = [], 0, -1
    for phase, instruction, call in placed:
        if phase != current:
            current, turn = phase, 0
        alone = call is not None and call.launch.work < SHARED
        steps.append(Step(instruction, call, phase, 1 if alone else MANY, turn if alone else 0))
        turn += alone
    return steps
