"""Memory plan: where the temporary buffers of a program lie in its one arena.

A buffer is live from the first phase that writes it to the last phase that reads it; what is read
after the program is live to the end. Buffers that are live at the same time do not overlap. The
buffers are placed by size, largest first, each in the tightest gap that is free in all its phases:
Y. Pisarchyk and J. Lee, "Efficient memory management for deep neural net inference",
arXiv:2001.03288, 2020, section 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ir import SCRATCH, TEMPORARY, Buffer, Program
from .schedule import Step

_LINE = 64  # bytes of a cache line


@dataclass
class Lifetime:
    """The phases in which a buffer is live, and its offset in the arena."""

    buffer: Buffer
    first: int
    last: int
    offset: int = 0

    def overlaps(self, other: Lifetime) -> bool:
        """Return whether both are live in some phase."""
        return self.first <= other.last and other.first <= self.last

    @property
    def size(self) -> int:
        """The bytes, in whole cache lines."""
        return -(-max(self.buffer.nbytes, 1) // _LINE) * _LINE


def lifetimes(program: Program, steps: list[Step]) -> list[Lifetime]:
    """Return when each buffer of the arena is live."""
    found: dict[Buffer, Lifetime] = {}
    end = steps[-1].phase if steps else 0
    for step in steps:
        for buffer in step.instruction.reads() | step.instruction.writes():
            if buffer.role in (TEMPORARY, SCRATCH):
                found.setdefault(buffer, Lifetime(buffer, step.phase, 0)).last = step.phase
    for region in program.live_out():
        if region.buffer in found:
            found[region.buffer].last = end + 1
    for flag in program.error_flags():  # 0 at the start: a program may end before it is written
        if flag.buffer in found:
            found[flag.buffer].first = -1
    return list(found.values())


def arrange(program: Program, steps: list[Step]) -> tuple[dict[Buffer, int], int]:
    """Return the offset of each buffer in the arena, and the size of the arena."""
    placed: list[Lifetime] = []
    for lifetime in sorted(lifetimes(program, steps), key=lambda each: -each.size):
        taken = sorted((o.offset, o.offset + o.size) for o in placed if o.overlaps(lifetime))
        gaps: list[tuple[int, int]] = []  # size, offset
        free = 0
        for low, high in taken:
            if low - free >= lifetime.size:
                gaps.append((low - free, free))
            free = max(free, high)
        lifetime.offset = min(gaps)[1] if gaps else free
        placed.append(lifetime)
    size = max((each.offset + each.size for each in placed), default=0)
    return {each.buffer: each.offset for each in placed}, size
