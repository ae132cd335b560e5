"""The passes that transform a program before it runs. Each keeps the results, bit for bit.

In the order in which they run, which is the order to read them in:

``dce.py``                dead code elimination
``cse.py``                common subexpressions, and copies of memory that is not changed
``sink_state_writes.py``  writes to state move behind the last check that can fail
``fuse_elementwise.py``   chains of elementwise ops become one pass over memory; it uses
``legality.py``           which instructions may be joined without changing the results
``fuse_epilogue.py``      a chain behind a matrix product runs on the tiles of the product
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
