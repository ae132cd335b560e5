"""The passes that transform a program before it runs. Each keeps the results, bit for bit.

The passes, in the order in which they run:

``dce.py``                dead code elimination
``cse.py``                common subexpressions, and copies of memory that is not changed
``sink_state_writes.py``  move writes to state behind the last check that can fail
``fuse_elementwise.py``   turn chains of elementwise ops into one pass over memory

The last one uses ``legality.py`` (which instructions may be joined) and ``fuse_epilogue.py`` (run a
chain on the tiles of a matrix product).
"""

from __future__ import annotations

from ..ir import Program, check
from .cse import remove_copies, remove_repetitions
from .dce import remove_dead_code
from .fuse_elementwise import fuse_elementwise
from .sink_state_writes import sink_state_writes

PASSES = (
    remove_dead_code, remove_repetitions, remove_copies, sink_state_writes, fuse_elementwise
)  # fmt: skip


def optimize(program: Program) -> None:
    """Run all passes. The program is checked before the first pass and after each.

    Raises:
        ProgramError: a pass made a malformed program; the message names the pass.
    """
    check(program, "capture")
    for each in PASSES:
        each(program)
        check(program, each.__name__)
