"""Dead code elimination: remove instructions whose results are not read and that change nothing."""

from __future__ import annotations

from ..ir import TEMPORARY, Buffer, Instruction, Program


def remove_dead_code(program: Program) -> None:
    """Remove, from the last instruction to the first, those that no later one needs."""
    needed: set[Buffer] = {region.buffer for region in program.live_out()}
    alive: list[Instruction] = []
    for instruction in reversed(program.instructions):
        written = [region.buffer for region in instruction.written]
        if any(buffer.role != TEMPORARY or buffer in needed for buffer in written):
            alive.append(instruction)
            needed |= instruction.reads()
    removed = len(program.instructions) - len(alive)
    if removed:
        program.notes.append(f"dead code: {removed} instructions removed")
    program.instructions[:] = reversed(alive)
