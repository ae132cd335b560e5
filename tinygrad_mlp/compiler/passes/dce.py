"""Dead code: what makes something that nobody looks at, and changes nothing else, is left out."""

from __future__ import annotations

from ..ir import MADE, Buffer, Instruction, Program


def without_dead(program: Program) -> None:
    """Leave out, from the last instruction to the first, what no later one needs."""
    wanted: set[Buffer] = {region.buffer for region in program.kept()}
    alive: list[Instruction] = []
    for instruction in reversed(program.instructions):
        if any(needed(region.buffer, wanted) for region in instruction.written):
            alive.append(instruction)
            wanted |= instruction.reads() | {region.buffer for region in instruction.inputs}
    gone = len(program.instructions) - len(alive)
    if gone:
        program.notes.append(f"dead code: {gone} instructions left out")
    program.instructions[:] = reversed(alive)


def needed(buffer: Buffer, wanted: set[Buffer]) -> bool:
    """Whether somebody sees what is written there: all that outlives the program is seen."""
    return buffer.kind != MADE or buffer in wanted
