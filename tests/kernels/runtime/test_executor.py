"""Programs: rows in order, with barriers, on any number of threads."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import numpy as np
import pytest
from numba import int64

from tests.kernels.runtime.test_threads import needs_affinity, needs_fork
from tests.kernels.scripts import run
from tinygrad_mlp.kernels.runtime.executor import TIMES, TableRow, build_program
from tinygrad_mlp.kernels.runtime.launch import Launch, compiled
from tinygrad_mlp.kernels.runtime.memory import address_of, pointer

COUNTS = (1, 2, 3, 8)
SLICES = 24  # of an array, shared evenly by each of these counts


def neighbours(arguments, thread, threads):
    """out[i] = 3 * x[i - 1] + x[i + 1]: each thread reads what its neighbours wrote before."""
    words = pointer(arguments, int64)
    x, out = pointer(words[0], int64), pointer(words[1], int64)
    for i in range(SLICES * thread // threads, SLICES * (thread + 1) // threads):
        out[i] = 3 * x[(i - 1) % SLICES] + x[(i + 1) % SLICES]


def note(arguments, thread, threads):
    """Append a number and how many threads share the row: log[0] counts the entries."""
    words = pointer(arguments, int64)
    log = pointer(words[0], int64)
    if thread == 0:
        log[2 * log[0] + 1], log[2 * log[0] + 2] = words[1], threads
        log[0] += 1


@functools.cache
def address(kernel: Callable[[int, int, int], None]) -> int:
    return compiled(kernel)


class Exchange:
    """Many rows of `neighbours`, back and forth between two arrays, and the expected result."""

    def __init__(self, rows: int, seed: int = 0):
        draw = np.random.default_rng(seed)
        self.arrays = [draw.integers(-9, 9, SLICES), np.zeros(SLICES, np.int64)]
        self.start = self.arrays[0].copy()
        there = np.array([address_of(a) for a in self.arrays])
        self.words = [there, there[::-1].copy()]
        each = [TableRow(address(neighbours), address_of(words)) for words in self.words]
        self.rows = rows
        self.program: Launch = build_program([each[k % 2] for k in range(rows)], work=1e9)

    def check(self) -> None:
        self.arrays[0][:] = self.start
        self.program()
        x = self.start
        for _ in range(self.rows):
            x = 3 * np.roll(x, 1) + np.roll(x, -1)  # wraps around, as the kernel's sums do
        np.testing.assert_array_equal(self.arrays[self.rows % 2], x)


@pytest.mark.parametrize("count", COUNTS)
def test_a_row_sees_all_that_the_row_before_wrote(
    count: int, use_threads: Callable[[int], None]
) -> None:
    use_threads(count)
    for rows in (0, 1, 2, 101):
        exchange = Exchange(rows)
        for _ in range(100):
            exchange.check()


def test_one_program_on_different_numbers_of_threads(use_threads: Callable[[int], None]) -> None:
    exchange = Exchange(21)
    for count in (2, 1, 3, 8, 2):
        use_threads(count)
        for _ in range(20):
            exchange.check()


@pytest.mark.parametrize("count", COUNTS)
def test_rows_run_in_order_on_as_many_threads_as_they_are_worth(
    count: int, use_threads: Callable[[int], None]
) -> None:
    use_threads(count)
    log = np.zeros(100, np.int64)
    most = [1, 1, 2, 100, 1, 2, 1, 1, 100, 100]
    words = [np.array([address_of(log), number]) for number in range(len(most))]
    each = [
        TableRow(address(note), address_of(word), limit)
        for word, limit in zip(words, most, strict=True)
    ]
    run_all = build_program(each, work=1e9)
    for _ in range(50):
        log[:] = 0
        run_all()
        expected = [[number, min(limit, count)] for number, limit in enumerate(most)]
        assert log[0] == len(most)
        assert log[1 : 2 * len(most) + 1].reshape(-1, 2).tolist() == expected


def count(arguments, thread, threads):
    """Add 1 to a word, and set a flag when it reaches a limit."""
    words = pointer(arguments, int64)
    state = pointer(words[0], int64)
    if thread == 0:
        state[0] += 1
        state[1] = 1 if state[0] == state[2] else 0


@pytest.mark.parametrize("threads", COUNTS)
def test_a_gate_ends_all_the_times(threads: int, use_threads: Callable[[int], None]) -> None:
    """Every thread exits early; as the first, the middle and the last row."""
    use_threads(threads)
    state, after = np.zeros(3, np.int64), np.zeros(3, np.int64)
    words = [np.array([address_of(each)]) for each in (state, after)]
    counting, behind = (TableRow(address(count), address_of(each)) for each in words)
    gate = TableRow(0, address_of(state) + 8)
    rows = {"last": [counting, gate], "middle": [counting, gate, behind], "first": [gate, counting]}
    for place, each in rows.items():
        run_all = build_program(each, work=1e9, times=20)
        for limit in (0, 1, 7, 20, 21):
            state[:], after[:] = (0, 0, limit), 0
            run_all()
            assert state[0] == (limit if 0 < limit <= 20 else 20)
            if place == "middle":
                assert after[0] == (limit - 1 if 0 < limit <= 20 else 20)
        run_all.constants[TIMES] = 3
        state[:], after[:] = 0, 0
        run_all()
        assert state[0] == 3


def test_several_python_threads_run_programs_at_once(use_threads: Callable[[int], None]) -> None:
    use_threads(2)
    wrong: list[BaseException] = []

    def compute(seed: int) -> None:
        try:
            exchange = Exchange(15, seed)
            for _ in range(200):
                exchange.check()
        except BaseException as error:
            wrong.append(error)

    callers = [threading.Thread(target=compute, args=(seed,)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong


SHARE = """
import os
from tests.kernels.runtime.test_executor import Exchange
from tinygrad_mlp.kernels.runtime import threads
import tinygrad_mlp as tg
threads.SMALL = threads._BACK_OFF = 0
tg.set_num_threads(3)
exchange = Exchange(31)
"""


@needs_fork
def test_after_a_fork() -> None:
    printed = run(
        SHARE
        + """
exchange.check()
child = os.fork()
exchange.check()
if child == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    assert printed == "7\n"


@needs_affinity
def test_on_one_processor() -> None:
    run(SHARE + "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nexchange.check()")


def test_sleepers_are_woken_before_the_first_barrier() -> None:
    """Workers start through Python, while the caller waits for them in compiled code."""
    printed = run(
        SHARE
        + """
import time
for _ in range(5):
    exchange.check()
    deadline = time.monotonic() + 60
    while threads._pool.asleep < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(threads._pool.asleep)
"""
    )
    assert printed.split() == ["2"] * 5
