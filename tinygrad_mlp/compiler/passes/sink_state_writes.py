"""Sink state writes: a step whose check fails leaves all state as it was.

A program ends early where an error flag is set. The instructions that the checks depend on come
first, and all others, writes to state among them, behind the last check:

    running_mean = update_running_stats_(%2.mean, ...)     %7 = cross_entropy(%6, y)
    %7 = cross_entropy(%6, y)                         ->   stop = halt_unless_finite_(%7)
    stop = halt_unless_finite_(%7)                         running_mean = update_running_stats_(...)

State that a check depends on, and that is written before it (the random generator's, for a loss
behind dropout), is copied at the start of the program. After an error the copy is written back.
"""

from __future__ import annotations

from ...ops.elementwise.arithmetic import clone
from ..ir import INPUT, MADE, STATE, Buffer, Call, Instruction, Place, Program, Region


def sink_state_writes(program: Program) -> None:
    """Move what no check depends on behind the last check; save the state written before it."""
    checks = [k for k, each in enumerate(program.instructions) if each.error_flag is not None]
    if not checks:
        return
    end = checks[-1] + 1
    needed, sunk = _split(program.instructions[:end])
    saves = _saves(program, needed)
    program.instructions[:] = [*saves, *needed, *sunk, *program.instructions[end:]]
    waiting = sum(any(buffer.kind == STATE for buffer in each.writes()) for each in sunk)
    if waiting:
        program.notes.append(f"state writes: {waiting} wait for the last early exit")
    if saves:
        size = sum(copy.layout.nbytes for _, copy in program.saved)
        program.notes.append(f"state: {size} bytes saved at the start, restored after an error")


def _split(instructions: list[Instruction]) -> tuple[list[Instruction], list[Instruction]]:
    """Return the instructions that checks depend on, and the others, both in order."""
    needed: list[Instruction] = []
    others: list[Instruction] = []
    read: set[Buffer] = set()  # by the needed instructions behind the one that is looked at
    written: set[Buffer] = set()
    python = False  # whether a function of the user's is among them, which may read any state
    for each in reversed(instructions):
        reads, writes = each.reads(), each.writes()
        depended_on = bool(writes & (read | written) or reads & written)
        seen = python and any(buffer.kind != MADE for buffer in writes)
        if each.error_flag is not None or each.in_python or depended_on or seen:
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
    found: dict[tuple[Buffer, int, object], Region] = {}
    for each in instructions:
        for region in each.written:
            if region.buffer.kind in (STATE, INPUT) and region.buffer not in flags:
                found.setdefault((region.buffer, region.offset, region.layout), region)
    saves = []
    for region in found.values():
        layout, launch = clone.planned(region.layout)
        copy = Region(Buffer(MADE, layout.nbytes, f"saved {region.buffer.name}"), 0, layout)
        if launch is not None:
            words = (Place(region.buffer, region.offset), Place(copy.buffer, 0))
            saves.append(Instruction(clone, (region,), {}, (copy,), (Call(launch, words),)))
            program.saved.append((region, copy))
    return saves
