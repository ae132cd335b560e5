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

SHARED = 1_500  # work, in about nanoseconds on one thread, that pays for several inside a program


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel at its time: which threads run it, and whether all meet after it."""

    instruction: Instruction
    call: Call | None  # None: back to Python
    phase: int
    threads: int  # at most
    first: int  # the first of the threads
    meet: bool  # whether the threads meet after it


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
    """Small kernels go to one thread each, in turn; the others to all of them.

    Between two phases that the first thread runs alone nobody has to wait.
    """
    phases: dict[int, list[bool]] = {}  # of the rows so far, whether they are one thread's
    threads = []
    for phase, _, call in placed:
        alone = call is not None and call.launch.work < SHARED
        before = phases.setdefault(phase, [])
        threads.append((1, sum(before)) if alone else (MANY, 0))
        before.append(alone)
    steps = []
    for k, (phase, instruction, call) in enumerate(placed):
        after = placed[k + 1][0] if k + 1 < len(placed) else phase
        meet = after != phase and not phases[phase] == phases[after] == [True]
        steps.append(Step(instruction, call, phase, *threads[k], meet))
    return steps
