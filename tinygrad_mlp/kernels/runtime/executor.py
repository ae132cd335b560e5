"""The executor: all threads run the kernels of a program, without a return to Python in between.

    for time in range(times):
        for row in program:
            kernel(arguments, thread, threads)      each thread computes its slice
            barrier, if the row has one             all threads wait for each other

The executor is a kernel, posted to the workers like any other. Its constants are the program's
table: how often to run it, the number of rows, then the rows. A row must not read what another row
between the same two barriers writes: ``compiler/schedule.py`` ensures this. By default every row
ends with a barrier.

A row for fewer threads than there are starts at thread ``first``, so that neighbouring rows for one
thread each run on different threads. A row without a kernel is an early exit: its argument is the
address of a word, and the program ends there unless the word is 0, with all repetitions that are
left. Each thread reads the word; it was written before the last barrier, so all read the same.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from numba import int64

from .launch import Launch, compiled
from .memory import call_address, pointer, words_of
from .threads import barrier

TIMES, ROWS, TABLE = range(3)  # constants; the rows begin at TABLE
KERNEL, ARGUMENTS, THREADS, FIRST, BARRIER = range(5)  # the words of a row
_WORDS = 5
MANY = 1 << 30


@dataclass(frozen=True)
class TableRow:
    """One kernel of a program: its address, its argument words' address, and its threads."""

    kernel: int  # 0: an early exit
    arguments: int
    threads: int = MANY  # at most
    first: int = 0
    barrier: bool = True


def build_program(rows: Sequence[TableRow], work: float, times: int = 1) -> Launch:
    """Return the rows as one launch without operands; ``work`` is that of all rows together.

    ``launch.constants[TIMES]`` may be changed between calls.
    """
    table = [
        int(word)
        for row in rows
        for word in (row.kernel, row.arguments, row.threads, row.first, row.barrier)
    ]
    return Launch(address(), 0, [times, len(rows), *table], work)


@functools.cache
def address() -> int:
    """Return the address of the executor."""
    return compiled(_execute)


def _execute(arguments: int, thread: int, threads: int) -> None:
    _, table = words_of(arguments)
    times, rows = table[TIMES], table[ROWS]
    barriers = 0
    for time in range(times):
        for row in range(rows):
            at = TABLE + row * _WORDS
            kernel = table[at + KERNEL]
            if kernel == 0:
                if pointer(table[at + ARGUMENTS], int64)[0] != 0:
                    return
            else:
                count = min(threads, table[at + THREADS])
                number = (thread + threads - table[at + FIRST] % threads) % threads
                if number < count:
                    call_address(kernel, table[at + ARGUMENTS], number, count)
            last = row == rows - 1
            if threads > 1 and ((table[at + BARRIER] and not last) or (last and time < times - 1)):
                barriers += 1
                barrier(arguments, thread, threads, barriers)
