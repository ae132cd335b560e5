"""What is done to a program before it runs. Each pass keeps its results, bit for bit."""

from __future__ import annotations

from ..ir import Program, check
from .cse import without_copies, without_repetitions
from .dce import without_dead
from .fuse_elementwise import fuse_chains
from .sink_state_writes import sink_state_writes

PASSES = (without_dead, without_repetitions, without_copies, sink_state_writes, fuse_chains)


def optimize(program: Program) -> None:
    """Run all passes; the program is checked before the first and after each.

    Raises ProgramError, which names the pass, for a mistake in one of them.
    """
    check(program, "capture")
    for each in PASSES:
        each(program)
        check(program, each.__name__)
