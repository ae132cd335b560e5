"""Our own workers: threads that wait inside compiled code, without the GIL, for the next kernel.

A kernel is called by every thread with its number, and takes its slice of the work. The caller is
thread 0. Workers spin for a moment, then give their core away between looks, and after some idle
milliseconds go to sleep in Python: an idle program uses no processor time. Nothing ever waits for
a thread that does not come: whoever waits long returns to Python, wakes the sleepers, and waits on.
"""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path

import numpy as np
from numba import int64, njit, void

from .atomics import atomic_add, atomic_load, atomic_store, give_way, pause
from .memory import address_of, call_address, pointer

SMALL = 10_000  # work, in about nanoseconds on one thread, that is not worth sharing
_LARGE = 300_000  # work that is worth sharing even with neighbours who want the processors

# The control block: one word a cache line, so that threads do not fight for lines.
_TICKET, _DONE, _STOP, _KERNEL, _COUNT, _ARGUMENTS, _WORDS = 0, 64, 128, 192, 200, 256, 1024
MOST_WORDS = (_WORDS - _ARGUMENTS) // 8  # that a kernel's arguments may take
_SPINS, _YIELDS = 2_000, 20_000


def available() -> int:
    """Processors this process may use: by its affinity mask, and its cgroup's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count or 1, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup, or the quota is "max"
        pass
    return count or 1


class _Pool:
    """The workers of this process: ``count - 1`` threads and the block they watch."""

    def __init__(self, count: int):
        self.count = count
        self.memory = np.zeros((_WORDS + 64) // 8, np.int64)
        self.control = -(-address_of(self.memory) // 64) * 64
        self.word(_DONE)[0] = count - 1  # nothing is under way
        self.asleep = 0
        self.rest = self.resting = 0  # kernels to keep on one thread, while others want the cores
        self.wake = [threading.Event() for _ in range(count - 1)]
        for number, event in enumerate(self.wake, 1):
            threading.Thread(target=self.work, args=(number, event), daemon=True).start()

    def word(self, offset: int) -> np.ndarray:
        start = (self.control - address_of(self.memory) + offset) // 8
        return self.memory[start : start + 1]

    def work(self, number: int, event: threading.Event) -> None:
        seen = 0
        while not self.word(_STOP)[0]:
            seen = _serve()(self.control, number, seen)
            self.asleep += 1
            event.wait()
            event.clear()
            self.asleep -= 1

    def wait(self) -> int:
        """Until the workers are done: how many looks it took, 0 if they had to be woken."""
        waited = looks = _finish()(self.control, self.count)
        while not looks:
            self.rouse()
            looks = _finish()(self.control, self.count)
        return waited

    def rouse(self) -> None:
        for event in self.wake:
            event.set()

    def stop(self) -> None:
        self.word(_STOP)[0] = 1
        self.rouse()


_pool: _Pool | None = None
_count = available()
_busy = threading.Lock()


def get_num_threads() -> int:
    """How many threads a large kernel uses: by default all processors this process may use."""
    return _count


def set_num_threads(number: int) -> None:
    """Use ``number`` threads from the next kernel on. The results do not depend on it.

    Raises ValueError for less than one, TypeError for what is no integer.
    """
    global _count, _pool
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"set_num_threads takes an integer, not {number!r}")
    if number < 1:
        raise ValueError(f"set_num_threads takes 1 or more, not {number}")
    with _busy:
        if _pool is not None:
            _pool.stop()
        _pool, _count = None, number


def shared(kernel: int, words: tuple[int, ...], work: float) -> bool:
    """Run a kernel on all threads; False, and nothing done, where one thread would be faster.

    That is: small work, another Python thread has the workers, or the last waits for them were
    long, because other processes want the same cores. Then the next kernels stay on one thread,
    more of them after each long wait.
    """
    global _pool
    if work < SMALL or _count == 1 or not _busy.acquire(blocking=False):
        return False
    try:
        if _pool is None:
            _pool = _Pool(_count)
        pool = _pool
        if pool.resting and work < _LARGE:
            pool.resting -= 1
            return False
        if pool.asleep:
            pool.rouse()
        dispatch = _dispatch(len(words))
        try:
            dispatch(pool.control, kernel, pool.count, words)
            waited = pool.wait()
        except BaseException:  # Ctrl-C, and the workers still write into the caller's arrays
            pool.wait()
            raise
        if work < _LARGE:
            long = not 0 < waited < _SPINS
            pool.rest = min(2 * pool.rest + 4, 512) if long else pool.rest // 2
            pool.resting = pool.rest if long else 0
        return True
    finally:
        _busy.release()


@functools.cache
def _dispatch(words: int):
    """Post a kernel, wake nobody, and do thread 0's share."""
    from numba import types

    from .memory import words_on_stack

    @njit(void(int64, int64, int64, types.UniTuple(int64, words)), cache=True, nogil=True)
    def dispatch(control, kernel, count, arguments):
        posted, source = pointer(control, int64), pointer(words_on_stack(arguments), int64)
        for i in range(words):
            posted[_ARGUMENTS // 8 + i] = source[i]
        posted[_KERNEL // 8], posted[_COUNT // 8] = kernel, count
        atomic_store(control + _DONE, 0)
        atomic_add(control + _TICKET, 1)
        call_address(kernel, control + _ARGUMENTS, 0, count)

    return dispatch


@functools.cache
def _finish():
    """Wait for the workers: how many looks it took; 0 if they are asleep or still at work."""

    @njit(int64(int64, int64), cache=True, nogil=True)
    def finish(control, count):
        for look in range(_SPINS + _YIELDS):
            if atomic_load(control + _DONE) == count - 1:
                return look + 1
            pause() if look < _SPINS else give_way()
        return 0

    return finish


@functools.cache
def _serve():
    """A worker's loop: do each posted kernel's share; return after some idle time."""

    @njit(int64(int64, int64, int64), cache=True, nogil=True)
    def serve(control, thread, seen):
        posted = pointer(control, int64)
        idle = 0
        while idle < _SPINS + _YIELDS:
            ticket = atomic_load(control + _TICKET)
            if ticket == seen:
                idle += 1
                pause() if idle < _SPINS else give_way()
                continue
            call_address(posted[_KERNEL // 8], control + _ARGUMENTS, thread, posted[_COUNT // 8])
            seen, idle = ticket, 0
            atomic_add(control + _DONE, 1)
        return seen

    return serve


def _after_fork() -> None:
    """A child has none of its parent's threads."""
    global _pool, _busy
    _pool, _busy = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
