"""Sink state writes: a step whose check fails leaves all state as it was.

A program ends early where an error flag is set. The instructions that the checks depend on come
first, and all others, writes to state among them, behind the last check:

    running_mean = update_running_stats_(%2.mean, ...)     %7 = cross_entropy(%6, y)
    %7 = cross_entropy(%6, y)                         ->   stop = halt_unless_finite_(%7)
    stop = halt_unless_finite_(%7)                         running_mean = update_running_stats_(...)

State that is written before the last check, because a check depends on it (the random generator's,
for a loss behind dropout), is copied at the start of the program. After an error the copy is
written back (``specialization.py``).
"""

from __future__ import annotations

from ...ops.elementwise.arithmetic import clone
from ..ir import INPUT, STATE, TEMPORARY, Buffer, Instruction, KernelCall, Program, Region


def sink_state_writes(program: Program) -> None:
    """Move what no check depends on behind the last check; save the state written before it."""
    checks = [k for k, each in enumerate(program.instructions) if each.error_flag is not None]
    if not checks:
        return
    end = checks[-1] + 1
    needed, others = _split(program.instructions[:end])
    saves = _saves(program, needed)
    program.instructions[:] = [*saves, *needed, *others, *program.instructions[end:]]
    waiting = sum(each.writes_state() for each in others)
    if waiting:
        program.notes.append(f"state writes: {waiting} wait for the last early exit")
    if saves:
        size = sum(copy.layout.nbytes for _, copy in program.saved)
        program.notes.append(f"state: {size} bytes saved at the start, restored after an error")


def _split(instructions: list[Instruction]) -> tuple[list[Instruction], list[Instruction]]:
    """Return the instructions that checks depend on, and the others, both in order."""
    needed: list[Instruction] = []
    others: list[Instruction] = []
    read: set[Buffer] = set()  # by needed instructions after the current one
    written: set[Buffer] = set()
    python = False  # whether a user's Function is among them, which may read any state
    for each in reversed(instructions):
        reads, writes = each.reads(), each.writes()
        depended_on = bool(writes & (read | written) or reads & written)
        may_be_read = python and each.writes_state()
        if each.error_flag is not None or each.in_python or depended_on or may_be_read:
            needed.append(each)
            read |= reads
            written |= writes
            python = python or each.op.python_only
        else:
            others.append(each)
    return needed[::-1], others[::-1]


def _saves(program: Program, instructions: list[Instruction]) -> list[Instruction]:
    """Return the instructions that copy the state which ``instructions`` write."""
    flags = {flag.buffer for flag in program.error_flags()}
    regions = [region for each in instructions for region in each.written]
    state = [r for r in regions if r.buffer.role in (STATE, INPUT) and r.buffer not in flags]
    saves = []
    for region in {(r.buffer, r.offset, r.layout): r for r in state}.values():
        layout, launch = clone.planned(region.layout)
        if launch is not None:
            copy = Region(
                Buffer(TEMPORARY, layout.nbytes, f"saved {region.buffer.name}"), 0, layout
            )
            call = KernelCall(launch, (region.address, copy.address))
            saves.append(Instruction(clone, (region,), {}, (copy,), (call,)))
            program.saved.append((region, copy))
    return saves
