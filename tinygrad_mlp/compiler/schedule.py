"""Schedule: in which phase each kernel of a program runs, and on which threads.

The kernels of one phase run side by side, with a barrier between two phases. A kernel runs in the
first phase in which all that it reads is written, and nothing reads or writes what it writes:

    phase(k) = 1 + max phase of the kernels before k that write what k reads or writes,
                                       or that read what k writes

So the weights of a layer are updated at the same time as the gradients of the layers before it are
computed, and all small updates at the end share one barrier.

An error flag ends a program early, at the start of the first phase after the one that writes it.
Flags are tested in the order of their checks, so that the error is the one that eager mode raises
first. After the last check, writes to state wait for the last early exit. State that is written
before it is saved first (``passes/sink_state_writes.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..kernels.runtime.executor import MANY
from ..kernels.runtime.threads import get_num_threads
from .ir import Buffer, Instruction, KernelCall, Region

SHARED = 1_500  # nanoseconds of work on one thread from which a kernel is shared among threads


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel in its phase: its threads, and whether a barrier follows."""

    instruction: Instruction
    call: KernelCall | None  # None: a return to Python, or an early exit
    phase: int
    threads: int = MANY  # at most
    first: int = 0  # the first of the threads
    error_flag: Region | None = None  # of an early exit
    barrier: bool = True


def schedule(instructions: list[Instruction]) -> list[Step]:
    """Return the kernels of a program in the order of their phases."""
    written: dict[Buffer, int] = {}  # the last phase that writes a buffer
    read: dict[Buffer, int] = {}
    floor = 0  # the first phase after the last return to Python
    exit_phase = 0  # of the last early exit so far
    last_check = max((k for k, i in enumerate(instructions) if i.error_flag), default=-1)
    steps: list[Step] = []
    for number, instruction in enumerate(instructions):
        reads, writes = instruction.reads(), instruction.writes()
        after = [written.get(b, -1) for b in reads | writes] + [read.get(b, -1) for b in writes]
        if instruction.in_python:
            after += [step.phase for step in steps]
        waits = number > last_check and instruction.writes_state()
        phase = max(floor, exit_phase if waits else 0, 1 + max(after, default=-1))
        together = instruction.side_by_side
        last = phase + max(len(instruction.calls) // together, 1) - 1
        steps += [
            Step(instruction, call, phase + k // together)
            for k, call in enumerate(instruction.calls)
        ]
        if instruction.in_python:
            steps.append(Step(instruction, None, phase))
            floor = phase + 1
        written |= dict.fromkeys(writes, last)
        read |= {b: max(read.get(b, -1), last) for b in reads}
        flag = instruction.error_flag
        if flag is not None:
            exit_phase = max(exit_phase, last + 1)
            read[flag.buffer] = exit_phase  # by every thread
            steps.append(Step(instruction, None, exit_phase, error_flag=flag))
    steps.sort(key=lambda step: (step.phase, step.error_flag is None))  # stable
    return _assign_threads(steps)


def _assign_threads(steps: list[Step]) -> list[Step]:
    """Give small kernels one thread each, in turn, and the others all threads.

    Kernels of an op per slice get one thread each too, as far as all threads then have equally
    many.

    No barrier is needed between two phases that consist of one kernel on the first thread.
    """
    small: dict[int, list[bool]] = {}  # by phase, for each of its steps
    slices: dict[tuple[int, int], int] = {}  # of an instruction in a phase, so far
    shares, count = [], get_num_threads()
    for step in steps:
        single = step.call is not None and step.call.launch.work < SHARED
        key = id(step.instruction), step.phase
        slices[key] = slices.get(key, 0) + 1
        single |= slices[key] <= step.instruction.side_by_side // count * count and count > 1
        before = small.setdefault(step.phase, [])
        shares.append((1, sum(before)) if single else (MANY, 0))
        before.append(single)
    result = []
    for k, (step, (threads, first)) in enumerate(zip(steps, shares, strict=True)):
        after = steps[k + 1].phase if k + 1 < len(steps) else step.phase
        barrier = after != step.phase and not small[step.phase] == small[after] == [True]
        result.append(replace(step, barrier=barrier, threads=threads, first=first))
    return result
