"""Worker threads: they wait in compiled code, without the GIL, for the next kernel.

Every thread calls the kernel with its thread number and computes its slice of the work. The caller
is thread 0. A waiting worker first spins, then yields its core between polls, and after a few idle
milliseconds blocks on a Python event: an idle program uses no processor time.

Two rules prevent a lost wake-up. A worker counts itself as asleep before it polls the ticket a last
time. A caller publishes its ticket before it reads the count of sleepers. So either the worker sees
the ticket, or the caller sees the sleeper and wakes it.
"""

from __future__ import annotations

import atexit
import functools
import operator
import os
import threading
import time
import warnings
from array import array
from typing import Any

import numpy as np
from numba import boolean, int64, njit

from .atomics import (
    atomic_add,
    atomic_load,
    atomic_store,
    atomic_swap_if,
    nanoseconds,
    pause,
    yield_core,
)
from .cache import cached, entry_point
from .cpu_count import available
from .memory import address_of, call_address, pointer

SMALL = 10_000  # work (about nanoseconds on one thread) below which one thread is used

# The control block: one word per cache line, to avoid false sharing.
_LINE = 64
_TICKET, _DONE, _MET, _OWNER, _ASLEEP, _STOP, _POST, _ARGUMENTS = (_LINE * k for k in range(8))
MOST_WORDS = 96  # argument words of a kernel, at most
_BYTES = _ARGUMENTS + 8 * MOST_WORDS
_KERNEL, _COUNT, _BEGUN, _WAITED = range(4)  # the words of the line _POST

_SPINS, _YIELDS = 1_000, 20_000  # polls before yielding the core, and before sleeping
_TIMED_AFTER = 64  # polls, about 3 us, before a wait is timed
_BUSY, _UNFINISHED = -1, -2  # returned instead of a waiting time

# When waiting cost more than sharing saved, other processes compete for the cores. Kernels then run
# on one thread for this many times the wait, at most a second.
_BACK_OFF = 25


class _Pool:
    """The workers of this process: ``count - 1`` threads and the control block that they poll."""

    def __init__(self, count: int):
        self.count = count
        self.memory = np.zeros((_BYTES + _LINE) // 8, np.int64)
        self.control = -(-address_of(self.memory) // _LINE) * _LINE
        self.word(_DONE)[0] = count - 1  # no kernel is running
        self.word(_ASLEEP)[0] = count - 1
        self.single_until = 0.0  # time until which one thread is used
        self.wake = [threading.Event() for _ in range(count - 1)]
        try:
            for number, event in enumerate(self.wake, 1):
                threading.Thread(target=self.work, args=(number, event), daemon=True).start()
        except RuntimeError:  # the system has no more threads: stop those that started
            self.word(_STOP)[0] = 1
            self.wake_all()
            raise

    def word(self, offset: int) -> np.ndarray:
        start = (self.control - address_of(self.memory) + offset) // 8
        return self.memory[start : start + 1]

    @property
    def asleep(self) -> int:
        return int(self.word(_ASLEEP)[0])

    def work(self, number: int, event: threading.Event) -> None:
        seen = 0
        while not self.word(_STOP)[0]:
            seen = _worker_loop()(self.control, number, seen)
            event.wait()
            event.clear()

    def wake_all(self) -> None:
        for event in self.wake:
            event.set()

    def complete(self, caller: int) -> None:
        """Finish the kernel that ``caller`` posted, if it posted one."""
        while self.word(_OWNER)[0] == caller:
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
        self.word(_STOP)[0] = 1
        self.wake_all()


_pool: _Pool | None = None
_count = available()
_changing = threading.RLock()


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
        ValueError: ``number`` is less than 1.
    """
    global _count, _pool
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"set_num_threads takes an integer, not {number!r}")
    number = operator.index(number)  # NumPy's integers too
    if number < 1:
        raise ValueError(f"set_num_threads takes 1 or more, not {number}")
    with _changing:
        before, _pool, _count = _pool, None, number
        if before is not None:
            before.stop()


def _start() -> _Pool | None:
    global _pool, _count
    with _changing:
        if _pool is None and _count > 1:
            try:
                _pool = _Pool(_count)
            except RuntimeError as error:
                message = f"kernels stay on one thread, as {_count} cannot be started: {error}"
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

    @cached(njit(int64(int64, int64, int64, int64, int64, int64), cache=True, nogil=True))
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

    @cached(njit(int64(int64), cache=True, nogil=True))
    def advance(control: int) -> int:
        return run_and_wait(control)

    return advance


@functools.cache
def _close() -> Any:
    """Take the workers for good; return False while a kernel is running."""

    @cached(njit(boolean(int64), cache=True, nogil=True))
    def close(control: int) -> Any:
        return atomic_swap_if(control + _OWNER, 0, -1) == 0

    return close


@functools.cache
def _worker_loop() -> Any:
    """Run a worker's slice of each kernel; return after some idle time, counted as asleep.

    Return at once when stopped: a worker that went on polling would slow down its successors.
    """

    @cached(njit(int64(int64, int64, int64), cache=True, nogil=True))
    def worker_loop(control: int, thread: int, seen: int) -> int:
        post = pointer(control + _POST, int64)
        idle = 0
        atomic_add(control + _ASLEEP, -1)
        while atomic_load(control + _STOP) == 0:
            ticket = atomic_load(control + _TICKET)
            if ticket != seen:
                call_address(post[_KERNEL], control + _ARGUMENTS, thread, post[_COUNT])
                seen, idle = ticket, 0
                atomic_add(control + _DONE, 1)
                continue
            idle += 1
            if idle < _SPINS:
                pause()
            elif idle < _SPINS + _YIELDS:
                yield_core()
            else:
                atomic_add(control + _ASLEEP, 1)
                if atomic_load(control + _TICKET) == seen:
                    return seen
                atomic_add(control + _ASLEEP, -1)
        return seen

    return worker_loop


def compile_dispatch() -> None:
    """Compile the functions that post kernels and that workers run."""
    _dispatch(), _advance(), _worker_loop(), _close()


def _after_fork() -> None:
    """Forget the pool: a forked child has none of its parent's threads."""
    global _pool, _changing
    _pool, _changing = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _at_exit() -> None:
    """Use one thread: sleeping workers cannot be woken while the interpreter shuts down."""
    global _count
    _count = 1
