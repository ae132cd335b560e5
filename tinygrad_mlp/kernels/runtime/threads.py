"""Worker threads: they wait in compiled code, without the GIL, for the next kernel.

Every thread calls the kernel with its thread number and computes its slice of the work. The caller
is thread 0. A waiting worker first spins, then yields its core between polls, and after a few idle
milliseconds blocks on a Python lock: an idle program uses no processor time.

Two rules prevent a lost wake-up. A worker counts itself as asleep before it polls the ticket a last
time. A caller publishes its ticket before it reads the count of sleepers. So either the worker sees
the ticket, or the caller sees the sleeper and wakes it.

No kernel waits for a worker that memory has run out for. The workers' code is loaded before they
start, no kernel is posted before all of them have reported, and afterwards what a worker does in
Python can be repeated: its state is in the control block.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import functools
import operator
import os
import threading
import time
import warnings
from array import array
from typing import Any

import numpy as np
from numba import boolean, int64, njit, void

from ..._common.fork import fork_safe, run_in_child
from .atomics import (
    atomic_add,
    atomic_load,
    atomic_store,
    atomic_swap_if,
    nanoseconds,
    pause,
    yield_core,
)
from .cache import cached_njit, entry_point
from .cpu_count import available
from .memory import address_of, call_address, pointer

SMALL = 10_000  # work (about nanoseconds on one thread) below which one thread is used

# The control block: one word per cache line, to avoid false sharing.
_LINE = 64
_TICKET, _DONE, _MET, _OWNER, _ASLEEP, _STOP, _POST, _ARGUMENTS = (_LINE * k for k in range(8))
MOST_WORDS = 96  # argument words of a kernel, at most
_SEEN = _ARGUMENTS + 8 * MOST_WORDS  # a line per worker: its last ticket + 1; 0 before it reports
_KERNEL, _COUNT, _BEGUN, _WAITED = range(4)  # the words of the line _POST

_SPINS, _YIELDS = 1_000, 20_000  # polls before yielding the core, and before sleeping
_TIMED_AFTER = 64  # polls, about 3 us, before a wait is timed
_BUSY, _UNFINISHED = -1, -2  # returned instead of a waiting time
_LONGEST_START = 10.0  # seconds in which all workers must report

# When waiting cost more than sharing saved, other processes compete for the cores. Kernels then run
# on one thread for this many times the wait, at most a second.
_BACK_OFF = 25


class _Pool:
    """The workers of this process: ``count - 1`` threads and the control block that they poll."""

    def __init__(self, count: int):
        self.count = count
        compile_dispatch()
        self.memory = np.zeros((_SEEN + _LINE * (count + 1)) // 8, np.int64)
        self.control = -(-address_of(self.memory) // _LINE) * _LINE
        self.word(_ASLEEP)[0] = count - 1
        self.stopped = False
        self.single_until = 0.0  # time until which one thread is used
        self.wake = [fork_safe(threading.Lock()) for _ in range(count - 1)]  # open: awake
        try:
            for number, lock in enumerate(self.wake, 1):
                lock.acquire()
                # Not `threading.Thread`, whose `start` waits for a thread that may have no memory.
                _thread.start_new_thread(self.work, (number, lock))
            self.wait_for_reports()
        except BaseException:  # the system has no more threads or memory: stop those that started
            self.end_workers()
            raise

    def wait_for_reports(self) -> None:
        """Wait until each worker has counted itself as done: no kernel is running."""
        end = time.monotonic() + _LONGEST_START
        while self.word(_DONE)[0] < self.count - 1:
            if time.monotonic() > end:
                raise RuntimeError("out of memory")
            time.sleep(2e-5)

    def word(self, offset: int) -> np.ndarray:
        start = (self.control - address_of(self.memory) + offset) // 8
        return self.memory[start : start + 1]

    @property
    def asleep(self) -> int:
        return int(self.word(_ASLEEP)[0])

    def work(self, number: int, lock: threading.Lock) -> None:
        while not self.stopped:
            with contextlib.suppress(MemoryError):
                _worker_loop()(self.control, number)
                lock.acquire()

    def wake_all(self) -> None:
        for lock in self.wake:
            with contextlib.suppress(RuntimeError):  # another thread has released it just now
                if lock.locked():
                    lock.release()

    def complete(self, caller: int) -> None:
        """Finish the kernel that ``caller`` posted, if it posted one."""
        running = True
        while running:
            with contextlib.suppress(MemoryError):
                running = self.word(_OWNER)[0] == caller
                if running:
                    self.wake_all()
                    _advance()(self.control)

    def back_off(self, waited: int, work: float) -> None:
        """Use one thread for a while if the caller waited longer than sharing can have saved."""
        if waited > work * (1 - 1 / self.count):
            self.single_until = time.monotonic() + min(_BACK_OFF * waited * 1e-9, 1.0)

    def stop(self) -> None:
        """End the workers once no kernel is running. Other callers then find the pool busy."""
        while not _close()(self.control):
            time.sleep(1e-4)
        self.end_workers()

    def end_workers(self) -> None:
        self.stopped = True
        self.word(_STOP)[0] = 1
        self.wake_all()


_pool: _Pool | None = None
_count = available()
_changing = fork_safe(threading.RLock())


def get_num_threads() -> int:
    """Return the number of threads of a large kernel.

    By default it is the number of processors that this process may use.

    >>> get_num_threads() >= 1
    True
    """
    return _count


def set_num_threads(number: int) -> None:
    """Use ``number`` threads from the next kernel on. Results do not depend on it.

    Raises:
        TypeError: ``number`` is not an integer.
        ValueError: ``number`` is less than 1, or more than four times the number of processors.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _count, _pool
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"set_num_threads takes an integer, not {number!r}")
    number = operator.index(number)  # NumPy's integers too
    if number < 1:
        raise ValueError(f"set_num_threads takes 1 or more, not {number}")
    if number > (most := most_threads()):
        raise ValueError(
            f"set_num_threads takes {most} or less, four times the number of processors, "
            f"not {number}"
        )
    with _changing:
        before, _pool, _count = _pool, None, number
        if before is not None:
            before.stop()


def most_threads() -> int:
    """Return the largest number of threads: four times the number of processors."""
    return 4 * (os.cpu_count() or 1)


def _start() -> _Pool | None:
    global _pool, _count
    with _changing:
        if _pool is None and _count > 1:
            try:
                _pool = _Pool(_count)
            except (RuntimeError, MemoryError) as error:
                reason = error if str(error) else "out of memory"
                message = f"kernels stay on one thread, as {_count} cannot be started: {reason}"
                warnings.warn(message, RuntimeWarning, stacklevel=2)
                _count = 1
        return _pool


def run_on_all(kernel: int, words: tuple[int, ...], work: float) -> bool:
    """Run a kernel on all threads; return False, having done nothing, if one thread is better.

    One thread is better for small work, while another Python thread uses the workers, and for a
    while after long waits, which mean that other processes compete for the cores.
    """
    if work < SMALL or _count == 1:
        return False
    pool = _pool or _start()
    if pool is None or (pool.single_until and time.monotonic() < pool.single_until):
        return False
    caller, posted = threading.get_ident(), array("q", words)
    address, count = posted.buffer_info()
    try:
        waited: int = _dispatch()(pool.control, caller, kernel, pool.count, address, count)
        while waited == _UNFINISHED:
            pool.wake_all()
            waited = _advance()(pool.control)
    except BaseException:  # Ctrl-C while workers still write into the caller's arrays
        pool.complete(caller)
        raise
    if waited > 0:
        pool.back_off(waited, work)
    return waited != _BUSY


# --- compiled code, which runs without the GIL ---


@njit(nogil=True)
def run_and_wait(control: int) -> int:
    """Run the caller's slice, unless that is done, and wait for the workers.

    Return the nanoseconds waited, not counting the first few microseconds. After a long wait return
    `_UNFINISHED`: the caller wakes sleeping workers, handles signals, and calls again.
    """
    post = pointer(control + _POST, int64)
    count = post[_COUNT]
    if not post[_BEGUN]:
        post[_BEGUN] = 1
        call_address(post[_KERNEL], control + _ARGUMENTS, 0, count)
    polls, began = 0, 0
    while atomic_load(control + _DONE) < count - 1:
        polls += 1
        if polls == _TIMED_AFTER:
            began = nanoseconds()
        if polls < _SPINS:
            pause()
            continue
        if polls == _SPINS + _YIELDS:
            post[_WAITED] += nanoseconds() - began
            return _UNFINISHED
        yield_core()
    waited: int = post[_WAITED]
    if began:
        waited += nanoseconds() - began
    atomic_store(control + _OWNER, 0)
    return waited


@njit(nogil=True)
def barrier(arguments: int, thread: int, threads: int, step: int) -> None:
    """Wait until all threads of a kernel posted by `run_on_all` reach barrier ``step`` (1, 2, ...).

    The count of arrivals only grows, so it is not reset between barriers.
    """
    control = arguments - _ARGUMENTS
    atomic_add(control + _MET, 1)
    polls, began = 0, 0
    while atomic_load(control + _MET) < threads * step:
        polls += 1
        if polls == _TIMED_AFTER:
            began = nanoseconds()
        if polls < _SPINS:
            pause()
        else:
            yield_core()
    if began and thread == 0:
        pointer(control + _POST, int64)[_WAITED] += nanoseconds() - began


@functools.cache
def _dispatch() -> Any:
    """Post a kernel unless one is running, and wait for it unless a worker sleeps."""

    @cached_njit(int64(int64, int64, int64, int64, int64, int64), nogil=True)
    def dispatch(
        control: int, caller: int, kernel: int, count: int, arguments: int, words: int
    ) -> int:
        if atomic_swap_if(control + _OWNER, 0, caller) != 0:
            return _BUSY
        post, target = pointer(control + _POST, int64), pointer(control + _ARGUMENTS, int64)
        source = pointer(arguments, int64)
        for i in range(words):
            target[i] = source[i]
        post[_KERNEL], post[_COUNT], post[_BEGUN], post[_WAITED] = kernel, count, 0, 0
        atomic_store(control + _DONE, 0)
        atomic_store(control + _MET, 0)
        atomic_add(control + _TICKET, 1)
        if atomic_load(control + _ASLEEP) != 0:
            return _UNFINISHED
        return run_and_wait(control)

    return entry_point(dispatch)


@functools.cache
def _advance() -> Any:
    """Continue with the kernel that was posted."""

    @cached_njit(int64(int64), nogil=True)
    def advance(control: int) -> int:
        return run_and_wait(control)

    return advance


@functools.cache
def _close() -> Any:
    """Take the workers for good; return False while a kernel is running."""

    @cached_njit(boolean(int64), nogil=True)
    def close(control: int) -> Any:
        return atomic_swap_if(control + _OWNER, 0, -1) == 0

    return close


@functools.cache
def _worker_loop() -> Any:
    """Run a worker's slice of each kernel; return after some idle time, counted as asleep.

    Return at once when stopped: a worker that went on polling would slow down its successors.
    """

    @cached_njit(void(int64, int64), nogil=True)
    def worker_loop(control: int, thread: int) -> None:
        post, last = pointer(control + _POST, int64), pointer(control + _SEEN, int64)
        line = thread * (_LINE // 8)
        idle = 0
        atomic_add(control + _ASLEEP, -1)
        if last[line] == 0:  # report
            last[line] = 1
            atomic_add(control + _DONE, 1)
        while atomic_load(control + _STOP) == 0:
            ticket = atomic_load(control + _TICKET)
            if ticket != last[line] - 1:
                call_address(post[_KERNEL], control + _ARGUMENTS, thread, post[_COUNT])
                last[line], idle = ticket + 1, 0
                atomic_add(control + _DONE, 1)
                continue
            idle += 1
            if idle < _SPINS:
                pause()
            elif idle < _SPINS + _YIELDS:
                yield_core()
            else:
                atomic_add(control + _ASLEEP, 1)
                if atomic_load(control + _TICKET) == last[line] - 1:
                    return
                atomic_add(control + _ASLEEP, -1)

    return worker_loop


def compile_dispatch() -> None:
    """Compile or load the functions that post kernels and that workers run."""
    _dispatch(), _advance(), _worker_loop(), _close()


@run_in_child
def _forget_workers() -> None:
    """Drop the pool: a forked child has none of its parent's threads."""
    global _pool
    _pool = None


@atexit.register
def _at_exit() -> None:
    """Use one thread: sleeping workers cannot be woken while the interpreter shuts down."""
    global _count
    _count = 1
