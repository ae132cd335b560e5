"""What is done to a program before it runs. Each pass keeps its results, bit for bit."""

from __future__ import annotations

from ..ir import Program
from .chains import fuse_chains
from .dead import without_dead
from .same import without_copies, without_repetitions


def optimize(program: Program) -> None:
    """Run all passes."""
    without_dead(program)
    without_repetitions(program)
    without_copies(program)
    fuse_chains(program)
