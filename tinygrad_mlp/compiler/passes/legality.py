"""Legality of fusion: whether two groups of instructions may be joined."""

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
        """Return whether both may run in either order."""
        if any(part.in_python for part in (*self.parts, *other.parts)):
            return False
        return not (self.writes & (other.reads | other.writes) or other.writes & self.reads)


class Order:
    """A program as a list of groups, at first of one instruction each."""

    def __init__(self, instructions: list[Instruction]):
        self.groups = [Group([instruction]) for instruction in instructions]
        self.of = {group.parts[0]: group for group in self.groups}

    def join(self, first: Group, second: Group) -> bool:
        """Make one group of two, or return False if neither can move to the other.

        ``first`` may move to ``second`` if the groups between them are independent of it, and
        ``second`` may move to ``first`` likewise.
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

    def instructions(self, fuse: Callable[[Group], Instruction]) -> list[Instruction]:
        """Return the program's instructions, with ``fuse`` applied to each group of several."""
        return [g.parts[0] if len(g.parts) == 1 else fuse(g) for g in self.groups]
