"""Groups of instructions that are to become one, and whether the order of the program allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..ir import Buffer, Instruction


@dataclass(eq=False)
class Group:
    """Instructions at one place in the program, in order."""

    parts: list[Instruction]
    reads: set[Buffer] = field(default_factory=set)
    writes: set[Buffer] = field(default_factory=set)

    def __post_init__(self) -> None:
        for part in self.parts:
            self.reads |= part.reads()
            self.writes |= part.writes()

    def independent(self, other: Group) -> bool:
        """Whether the order of both makes no difference."""
        if any(part.in_python for part in (*self.parts, *other.parts)):
            return False
        return not (
            self.writes & other.reads or self.writes & other.writes or other.writes & self.reads
        )


class Order:
    """A program as groups, at first of one instruction each, that are joined step by step."""

    def __init__(self, instructions: list[Instruction]):
        self.groups = [Group([instruction]) for instruction in instructions]
        self.of = {group.parts[0]: group for group in self.groups}

    def join(self, first: Group, second: Group) -> bool:
        """Make one group of two, at the place of either; False, and nothing done, if neither can.

        ``first`` may wait for ``second`` if nothing between them needs it, and ``second`` may come
        early if it needs nothing between them.
        """
        start, end = self.groups.index(first), self.groups.index(second)
        between = self.groups[start + 1 : end]
        if all(first.independent(other) for other in between):
            at = end
        elif all(other.independent(second) for other in between):
            at = start
        else:
            return False
        joined = Group([*first.parts, *second.parts])
        self.groups[at] = joined
        del self.groups[start if at == end else end]
        self.of |= dict.fromkeys(joined.parts, joined)
        return True

    def instructions(self, write: Callable[[Group], Instruction]) -> list[Instruction]:
        """The program again: ``write`` makes one instruction of each group of several."""
        return [g.parts[0] if len(g.parts) == 1 else write(g) for g in self.groups]
