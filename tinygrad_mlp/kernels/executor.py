"""A program: kernels run one after another by all threads, without a return to Python in between.

    for row in program:
        kernel(arguments, thread, threads)      each thread its share
        meet                                    nobody goes on before all are done

It is itself a kernel, so it is posted to the workers like any other, and its constants are the
table: the number of rows; then for each row the address of a kernel, the address of its argument
words, and for how many threads it is worth at most. A row for one thread is thread 0's; between two
such rows nobody waits, nor after the last one, where `threads.shared` waits anyway.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from numba import int64

from .launch import Launch, compiled
from .memory import call_address, pointer
from .threads import meet

_WORDS = 3  # of a row
MANY = 1 << 30


@dataclass(frozen=True)
class Row:
    """One kernel of a program: its address, that of its argument words, and its most threads."""

    kernel: int
    arguments: int
    threads: int = MANY


def program(rows: Sequence[Row], work: float) -> Launch:
    """The rows as one launch, called without operands; ``work`` is that of all rows together."""
    table = [word for row in rows for word in (row.kernel, row.arguments, row.threads)]
    return Launch(address(), 0, [len(rows), *table], work)


@functools.cache
def address() -> int:
    """The address of the executor."""
    return compiled(_execute)


def _execute(arguments, thread, threads):
    table = pointer(pointer(arguments, int64)[0], int64)
    rows = table[0]
    step = 0
    for row in range(rows):
        at = 1 + row * _WORDS
        sharers = min(threads, table[at + 2])
        if thread < sharers:
            call_address(table[at], table[at + 1], thread, sharers)
        last = row == rows - 1
        if threads > 1 and not last and (sharers > 1 or table[at + _WORDS + 2] > 1):
            step += 1
            meet(arguments, thread, threads, step)
