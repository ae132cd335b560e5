"""What is done to a program before it runs. Each pass keeps its results, bit for bit."""

from __future__ import annotations

from ..ir import Program, check
from .chains import fuse_chains
from .dead import without_dead
from .delay import delay
from .same import without_copies, without_repetitions

PASSES = (without_dead, without_repetitions, without_copies, delay, fuse_chains)


def optimize(program: Program) -> None:
    """Run all passes; the program is checked before the first and after each.

    Raises ProgramError, which names the pass, for a mistake in one of them.
    """
    check(program, "capture")
    for each in PASSES:
        each(program)
        check(program, each.__name__)
