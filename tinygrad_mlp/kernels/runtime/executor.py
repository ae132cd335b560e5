"""A program: kernels run one after another by all threads, without a return to Python in between.

    for time in range(times):
        for row in program:
            kernel(arguments, thread, threads)      each thread its share
            meet, if the row says so                nobody goes on before all are done

It is itself a kernel, so it is posted to the workers like any other, and its constants are the
table: how often to run it, the number of rows, then the rows. Rows between two meetings read
nothing that another of them writes. Who makes the table sees to that (``compiler/schedule.py``);
here rows meet one by one unless told otherwise.

A row for fewer threads than there are starts with thread ``first``, so that rows for one thread,
side by side, are different threads'. A row without a kernel is a gate: its argument is the address
of a word, and unless that is 0 the program ends there, all the times that are left with it. Each
thread looks for itself; the word was written before the last meeting, so that all see the same.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from numba import int64

from .launch import Launch, compiled
from .memory import call_address, pointer
from .threads import meet

_WORDS = 5  # of a row
MANY = 1 << 30


@dataclass(frozen=True)
class Row:
    """One kernel of a program: its address, that of its argument words, and who runs it."""

    kernel: int  # 0: a gate
    arguments: int
    threads: int = MANY  # at most
    first: int = 0
    meet: bool = True


TIMES = 0  # the constant that says how often


def program(rows: Sequence[Row], work: float, times: int = 1) -> Launch:
    """The rows as one launch, called without operands; ``work`` is that of all rows together.

    ``launch.constants[TIMES]`` may be changed between calls.
    """
    table = [
        int(word)
        for row in rows
        for word in (row.kernel, row.arguments, row.threads, row.first, row.meet)
    ]
    return Launch(address(), 0, [times, len(rows), *table], work)


@functools.cache
def address() -> int:
    """The address of the executor."""
    return compiled(_execute)


def _execute(arguments, thread, threads):
    table = pointer(pointer(arguments, int64)[0], int64)
    times, rows = table[0], table[1]
    meetings = 0
    for time in range(times):
        for row in range(rows):
            at = 2 + row * _WORDS
            kernel = table[at]
            if kernel == 0:
                if pointer(table[at + 1], int64)[0] != 0:
                    return
            else:
                sharers = min(threads, table[at + 2])
                mine = (thread + threads - table[at + 3] % threads) % threads
                if mine < sharers:
                    call_address(kernel, table[at + 1], mine, sharers)
            last = row == rows - 1
            if threads > 1 and ((table[at + 4] and not last) or (last and time < times - 1)):
                meetings += 1
                meet(arguments, thread, threads, meetings)
