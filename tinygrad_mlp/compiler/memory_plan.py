"""Where what a program makes lies in memory: one arena, in which the dead make room for the living.

A buffer lives from the first phase that writes it to the last that reads it; what is looked at
after the program lives to its end. Buffers that live at one time lie beside each other. Largest
first, each takes the tightest gap that is free in all its phases: Y. Pisarchyk and J. Lee,
"Efficient memory management for deep neural net inference", arXiv:2001.03288, 2020, section 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ir import MADE, SCRATCH, Buffer, Program
from .schedule import Step

_LINE = 64


@dataclass
class Life:
    """The phases in which a buffer is in use, and where it lies."""

    buffer: Buffer
    first: int
    last: int
    offset: int = 0

    def meets(self, other: Life) -> bool:
        """Whether both are in use at one time."""
        return self.first <= other.last and other.first <= self.last

    @property
    def size(self) -> int:
        """Its bytes, in whole cache lines."""
        return -(-max(self.buffer.nbytes, 1) // _LINE) * _LINE


def lives(program: Program, steps: list[Step]) -> list[Life]:
    """When the buffers of the arena are in use."""
    found: dict[Buffer, Life] = {}
    end = steps[-1].phase if steps else 0
    for step in steps:
        for buffer in step.instruction.reads() | step.instruction.writes():
            if buffer.kind in (MADE, SCRATCH):
                life = found.setdefault(buffer, Life(buffer, step.phase, step.phase))
                life.last = step.phase
    for region in program.kept():
        if region.buffer in found:
            found[region.buffer].last = end + 1
    for flag in program.error_flags():  # 0 from the start: a program may end before it is written
        if flag.buffer in found:
            found[flag.buffer].first = -1
    return list(found.values())


def arrange(program: Program, steps: list[Step]) -> tuple[dict[Buffer, int], int]:
    """The offset of each buffer in the arena, and the arena's size."""
    placed: list[Life] = []
    for life in sorted(lives(program, steps), key=lambda life: -life.size):
        taken = sorted((o.offset, o.offset + o.size) for o in placed if o.meets(life))
        best, tightest, free = None, None, 0
        for low, high in taken:
            gap = low - free
            if gap >= life.size and (tightest is None or gap < tightest):
                best, tightest = free, gap
            free = max(free, high)
        life.offset = free if best is None else best
        placed.append(life)
    return (
        {life.buffer: life.offset for life in placed},
        max((life.offset + life.size for life in placed), default=0),
    )
