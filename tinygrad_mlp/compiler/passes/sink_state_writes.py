"""Delay: what is remembered of a step waits until it is known that the step is a good one.

An instruction that writes to nothing but what outlives the program (the running statistics of a
batch norm) goes behind the gates after it, unless something before the last of them reads or writes
what it writes, or writes what it reads. When a gate then ends the program, nothing has changed.

    running_mean = update_running_stats_(%2.mean, ...)     %7 = cross_entropy(%6, y)
    %7 = cross_entropy(%6, y)                         ->   stop = halt_unless_finite_(%7)
    stop = halt_unless_finite_(%7)                         running_mean = update_running_stats_(...)
"""

from __future__ import annotations

from ..ir import STATE, Buffer, Instruction, Program


def delay(program: Program) -> None:
    """Move what only writes to state, as far as nothing depends on it, behind the last gate."""
    early_exits = [k for k, i in enumerate(program.instructions) if i.early_exit is not None]
    if not early_exits:
        return
    end = early_exits[-1] + 1
    before, after = program.instructions[:end], program.instructions[end:]
    kept: list[Instruction] = []
    delayed: list[Instruction] = []
    read: set[Buffer] = set()  # by what is kept, later than the instruction that is looked at
    written: set[Buffer] = set()
    for instruction in reversed(before):
        reads, writes = instruction.reads(), instruction.writes()
        free = not (writes & (read | written) or reads & written)
        if (
            free
            and writes
            and instruction.early_exit is None
            and not instruction.in_python
            and all(buffer.kind == STATE for buffer in writes)
        ):
            delayed.append(instruction)
        else:
            kept.append(instruction)
            read |= reads
            written |= writes
    program.instructions[:] = [*reversed(kept), *reversed(delayed), *after]
    if delayed:
        program.notes.append(f"delay: {len(delayed)} instructions wait for a gate")


def early(program: Program) -> set[Buffer]:
    """The state that is written to although a gate may still end the program."""
    early_exits = [k for k, i in enumerate(program.instructions) if i.early_exit is not None]
    before = program.instructions[: early_exits[-1]] if early_exits else []
    return {buffer for i in before for buffer in i.writes() if buffer.kind == STATE}
