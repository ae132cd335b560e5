"""Our own workers: threads that wait inside compiled code, without the GIL, for the next kernel.

A kernel is called by every thread with its number, and takes its slice of the work. The caller is
thread 0. Workers spin for a moment, then give their core away between looks, and after some idle
milliseconds go to sleep in Python: an idle program uses no processor time.

Nothing ever waits for a thread that does not come. A worker that falls asleep says so first and
looks for a ticket once more; a caller posts its ticket first and then looks for sleepers. So one of
them sees the other, and the caller wakes the sleeper before it does its own share.
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

import numpy as np
from numba import boolean, int64, njit

from .atomics import (
    atomic_add,
    atomic_load,
    atomic_store,
    atomic_swap_if,
    give_way,
    nanoseconds,
    pause,
)
from .cache import entry, kept
from .cpu_count import available
from .memory import address_of, call_address, pointer

SMALL = 10_000  # work, in about nanoseconds on one thread, that is not worth sharing

# The control block: one word a cache line, so that threads do not fight for lines.
_LINE = 64
_TICKET, _DONE, _MET, _OWNER, _ASLEEP, _STOP, _POST, _ARGUMENTS = (_LINE * k for k in range(8))
MOST_WORDS = 96  # that a kernel's arguments may take
_BYTES = _ARGUMENTS + 8 * MOST_WORDS
_KERNEL, _COUNT, _BEGUN, _WAITED = range(4)  # the words of the line _POST

_SPINS, _YIELDS = 1_000, 20_000  # looks before giving the core away, and before sleeping
_NOTICED = 64  # looks, about 3 us, before a wait is timed
_TAKEN, _UNDER_WAY = -1, -2  # instead of a time waited

# A wait that cost more than sharing saves: other processes want the cores. Then
# kernels stay on one thread for so many times as long, but at most a second.
_REST = 25


class _Pool:
    """The workers of this process: ``count - 1`` threads and the block they watch."""

    def __init__(self, count: int):
        self.count = count
        self.memory = np.zeros((_BYTES + _LINE) // 8, np.int64)
        self.control = -(-address_of(self.memory) // _LINE) * _LINE
        self.word(_DONE)[0] = count - 1  # nothing is under way
        self.word(_ASLEEP)[0] = count - 1
        self.rested = 0.0  # until when to use one thread
        self.wake = [threading.Event() for _ in range(count - 1)]
        try:
            for number, event in enumerate(self.wake, 1):
                threading.Thread(target=self.work, args=(number, event), daemon=True).start()
        except RuntimeError:  # the system gives no more: those that came go again
            self.word(_STOP)[0] = 1
            self.rouse()
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
            seen = _serve()(self.control, number, seen)
            event.wait()
            event.clear()

    def rouse(self) -> None:
        for event in self.wake:
            event.set()

    def complete(self, caller: int) -> None:
        """Finish what ``caller`` has posted, if anything."""
        while self.word(_OWNER)[0] == caller:
            self.rouse()
            _advance()(self.control)

    def note(self, waited: int, work: float) -> None:
        """Rest if the caller waited longer for the others than sharing can have saved."""
        if waited > work * (1 - 1 / self.count):
            self.rested = time.monotonic() + min(_REST * waited * 1e-9, 1.0)

    def stop(self) -> None:
        """End the workers, once no kernel is under way. Who still has the pool finds it busy."""
        while not _close()(self.control):
            time.sleep(1e-4)
        self.word(_STOP)[0] = 1
        self.rouse()


_pool: _Pool | None = None
_count = available()
_changing = threading.RLock()


def get_num_threads() -> int:
    """How many threads a large kernel uses: by default all processors this process may use."""
    return _count


def set_num_threads(number: int) -> None:
    """Use ``number`` threads from the next kernel on. The results do not depend on it.

    Raises ValueError for less than one, TypeError for what is no integer.
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


def shared(kernel: int, words: tuple[int, ...], work: float) -> bool:
    """Run a kernel on all threads; False, and nothing done, where one thread would be faster.

    That is: small work, another Python thread has the workers, or the last waits for them were
    long, because other processes want the same cores.
    """
    if work < SMALL or _count == 1:
        return False
    pool = _pool or _start()
    if pool is None or (pool.rested and time.monotonic() < pool.rested):
        return False
    caller, posted = threading.get_ident(), array("q", words)
    place, count = posted.buffer_info()
    try:
        waited = _dispatch()(pool.control, caller, kernel, pool.count, place, count)
        while waited == _UNDER_WAY:
            pool.rouse()
            waited = _advance()(pool.control)
    except BaseException:  # Ctrl-C, and the workers still write into the caller's arrays
        pool.complete(caller)
        raise
    if waited > 0:
        pool.note(waited, work)
    return waited != _TAKEN


# --- compiled: what runs without the GIL ------------------------------------------------------


@njit(nogil=True)
def see_through(control):
    """Do the caller's share, if that is still to do, and wait for the workers.

    The nanoseconds of waiting after the first microseconds; `_UNDER_WAY` after a long while: then
    the caller looks after its sleepers, and signals, and comes again.
    """
    post = pointer(control + _POST, int64)
    count = post[_COUNT]
    if not post[_BEGUN]:
        post[_BEGUN] = 1
        call_address(post[_KERNEL], control + _ARGUMENTS, 0, count)
    look, began = 0, 0
    while atomic_load(control + _DONE) < count - 1:
        look += 1
        if look == _NOTICED:
            began = nanoseconds()
        if look < _SPINS:
            pause()
            continue
        if look == _SPINS + _YIELDS:
            post[_WAITED] += nanoseconds() - began
            return _UNDER_WAY
        give_way()
    waited = post[_WAITED]
    if began:
        waited += nanoseconds() - began
    atomic_store(control + _OWNER, 0)
    return waited


@njit(nogil=True)
def meet(arguments, thread, threads, step):
    """Inside a kernel posted by `shared`: the ``step``-th meeting (1, 2, ...) of all its threads.

    The count of arrivals only grows, so nobody has to put it back before the next meeting.
    """
    control = arguments - _ARGUMENTS
    atomic_add(control + _MET, 1)
    look, began = 0, 0
    while atomic_load(control + _MET) < threads * step:
        look += 1
        if look == _NOTICED:
            began = nanoseconds()
        if look < _SPINS:
            pause()
        else:
            give_way()
    if began and thread == 0:
        pointer(control + _POST, int64)[_WAITED] += nanoseconds() - began


@functools.cache
def _dispatch():
    """Post a kernel, unless one is under way, and see it through, unless a worker sleeps."""

    @kept(njit(int64(int64, int64, int64, int64, int64, int64), cache=True, nogil=True))
    def dispatch(control, caller, kernel, count, arguments, words):
        if atomic_swap_if(control + _OWNER, 0, caller) != 0:
            return _TAKEN
        post, target = pointer(control + _POST, int64), pointer(control + _ARGUMENTS, int64)
        source = pointer(arguments, int64)
        for i in range(words):
            target[i] = source[i]
        post[_KERNEL], post[_COUNT], post[_BEGUN], post[_WAITED] = kernel, count, 0, 0
        atomic_store(control + _DONE, 0)
        atomic_store(control + _MET, 0)
        atomic_add(control + _TICKET, 1)
        if atomic_load(control + _ASLEEP) != 0:
            return _UNDER_WAY
        return see_through(control)

    return entry(dispatch)


@functools.cache
def _advance():
    """See through what was posted."""

    @kept(njit(int64(int64), cache=True, nogil=True))
    def advance(control):
        return see_through(control)

    return advance


@functools.cache
def _close():
    """Take the workers for good; False while a kernel is under way."""

    @kept(njit(boolean(int64), cache=True, nogil=True))
    def close(control):
        return atomic_swap_if(control + _OWNER, 0, -1) == 0

    return close


@functools.cache
def _serve():
    """A worker's loop: do a share of each kernel; return, as a sleeper, after some idle time.

    Also when it is stopped: workers that stayed until they are idle would slow down the next ones.
    """

    @kept(njit(int64(int64, int64, int64), cache=True, nogil=True))
    def serve(control, thread, seen):
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
                give_way()
            else:
                atomic_add(control + _ASLEEP, 1)
                if atomic_load(control + _TICKET) == seen:
                    return seen
                atomic_add(control + _ASLEEP, -1)
        return seen

    return serve


def compile_dispatch() -> None:
    """Compile what posts a kernel, and what the workers run."""
    _dispatch(), _advance(), _serve(), _close()


def _after_fork() -> None:
    """A child has none of its parent's threads."""
    global _pool, _changing
    _pool, _changing = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _at_exit() -> None:
    """Sleepers cannot be woken once the interpreter goes down."""
    global _count
    _count = 1
