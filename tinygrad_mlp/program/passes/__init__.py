"""What is done to a program before it runs. Each pass keeps its results, bit for bit."""

from __future__ import annotations

from ..ir import Program
from .dead import without_dead
from .delay import delay


def optimize(program: Program) -> None:
    """Run all passes."""
    without_dead(program)
    delay(program)
