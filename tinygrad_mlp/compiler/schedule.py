"""When each kernel of a program runs: in which phase, and by which threads.

Kernels of one phase run side by side; between two phases all threads meet. A kernel comes into the
first phase in which all that it reads is written, and nobody any more reads or writes what it
writes:

    phase(k) = 1 + max phase of the kernels before k that write what k reads or writes,
                                       or that read what k writes

So a layer's weights are updated beside the product that carries the gradient on, and all small
updates at the end cost one meeting together.

An error flag ends a program early, at the start of the first phase after the one that writes it.
Flags are looked at in the order of their checks, so the error is the one that eager mode raises
first. Instructions behind the last check that write to state wait for the last early exit; what is
written to state before it is saved first (``passes/sink_state_writes.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..kernels.runtime.executor import MANY
from .ir import INPUT, STATE, Buffer, Call, Instruction, Region

SHARED = 1_500  # work, in about nanoseconds on one thread, that pays for several inside a program


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel at its time: which threads run it, and whether all meet after it."""

    instruction: Instruction
    call: Call | None  # None: back to Python, or an early exit
    phase: int
    threads: int = MANY  # at most
    first: int = 0  # the first of the threads
    error_flag: Region | None = None  # of an early exit: the word to look at
    barrier: bool = True  # whether the threads meet after it


def schedule(instructions: list[Instruction]) -> list[Step]:
    """The kernels of a program in the order of their phases."""
    written: dict[Buffer, int] = {}  # the last phase that writes a buffer
    read: dict[Buffer, int] = {}
    floor = 0  # nothing crosses a step into Python
    exit_phase = 0  # of the last early exit so far
    last_check = max((k for k, i in enumerate(instructions) if i.error_flag), default=-1)
    steps: list[Step] = []
    for number, instruction in enumerate(instructions):
        reads, writes = instruction.reads(), instruction.writes()
        waits = number > last_check and any(buffer.kind in (STATE, INPUT) for buffer in writes)
        phase = max(
            [
                floor,
                *(written.get(b, -1) + 1 for b in reads | writes),
                *(read.get(b, -1) + 1 for b in writes),
                exit_phase if waits else 0,
            ]
        )
        if instruction.in_python:
            phase = max([phase, *(step.phase + 1 for step in steps)])
        last = phase + max(len(instruction.calls), 1) - 1
        steps += [Step(instruction, call, phase + k) for k, call in enumerate(instruction.calls)]
        if instruction.in_python:
            steps.append(Step(instruction, None, phase))
            floor = phase + 1
        written |= dict.fromkeys(writes, last)
        read |= {b: max(read.get(b, -1), last) for b in reads}
        flag = instruction.error_flag
        if flag is not None:
            exit_phase = max(exit_phase, last + 1)
            read[flag.buffer] = exit_phase  # by each thread, in its own time
            steps.append(Step(instruction, None, exit_phase, error_flag=flag))
    steps.sort(key=lambda step: (step.phase, step.error_flag is None))  # stable: as in the program
    return _shared_out(steps)


def _shared_out(steps: list[Step]) -> list[Step]:
    """Small kernels go to one thread each, in turn; the others to all of them.

    Between two phases that the first thread runs alone nobody has to wait.
    """
    phases: dict[int, list[bool]] = {}  # of the rows so far, whether they are one thread's
    shared = []
    for step in steps:
        alone = step.call is not None and step.call.launch.work < SHARED
        before = phases.setdefault(step.phase, [])
        shared.append((1, sum(before)) if alone else (MANY, 0))
        before.append(alone)
    result = []
    for k, step in enumerate(steps):
        after = steps[k + 1].phase if k + 1 < len(steps) else step.phase
        barrier = after != step.phase and not phases[step.phase] == phases[after] == [True]
        threads, first = shared[k]
        result.append(replace(step, barrier=barrier, threads=threads, first=first))
    return result
