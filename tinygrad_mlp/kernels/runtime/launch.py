"""Calls from Python into a kernel, through one trampoline for all kernels.

A `Launch` is a kernel with its constants, ready to be called on addresses. Eager mode makes one per
op and layouts, and calls it. A compiled program writes the same words into its table; capture gets
them with `record_launches` while a step runs.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numba import int64, types, void

from ..._common.fork import run_in_child
from . import threads
from .cache import cached_cfunc, cached_njit, entry_point
from .memory import SIGNATURE, address_of, call_address, words_on_stack


class Launch:
    """A compiled kernel and its constants.

    A call takes the addresses of the inputs, then of the outputs, runs the kernel and returns when
    all threads are done. ``work`` estimates the nanoseconds on one thread: small work stays on one
    thread, because waking the others would cost more than they save.
    """

    __slots__ = ("call", "constants", "constants_address", "kernel", "work")

    def __init__(self, kernel: int, operands: int, constants: Sequence[int], work: float):
        if operands >= threads.MOST_WORDS:
            raise ValueError(
                f"a kernel takes at most {threads.MOST_WORDS - 1} operands, not {operands}: "
                "split the formula"
            )
        self.kernel = kernel
        self.constants = np.asarray(constants, np.int64)  # kept: the kernel reads it by address
        self.constants_address = address_of(self.constants)
        self.work = work
        self.call = _trampoline(operands + 1)

    def __call__(self, *addresses: int) -> None:
        """Run on these addresses, on one thread or on all."""
        self.run((self.constants_address, *addresses))

    def run(self, words: tuple[int, ...]) -> None:
        """Run on argument words: the address of the constants, then those of the operands.

        It does the same as a call and is 0.3 us faster: Python unpacks no arguments.
        """
        if _logs:
            log_launch(self, words)
        if self.work < threads.SMALL or not threads.run_on_all(self.kernel, words, self.work):
            self.call(self.kernel, words)

    def run_alone(self, words: tuple[int, ...]) -> None:
        """Run on argument words, on the calling thread only."""
        self.call(self.kernel, words)


LaunchLog = list[tuple[Launch, tuple[int, ...]]]
_logs: dict[int, LaunchLog] = {}  # by thread


@run_in_child
def _forget_other_threads() -> None:
    """Drop their logs: a new thread of the child may get the number of one of its parent's."""
    for thread in _logs.keys() - {threading.get_ident()}:
        del _logs[thread]


@contextlib.contextmanager
def record_launches() -> Iterator[LaunchLog]:
    """Collect every launch of this thread inside the block, with its argument words, in order."""
    log: LaunchLog = []
    thread = threading.get_ident()
    before = _logs.get(thread)
    _logs[thread] = log
    try:
        yield log
    finally:
        if before is None:
            del _logs[thread]
        else:
            _logs[thread] = before


def recording_launches() -> bool:
    """Return whether this thread's launches are being recorded."""
    return bool(_logs) and threading.get_ident() in _logs


def log_launch(launch: Launch, words: tuple[int, ...]) -> None:
    """Append a launch to the log of this thread, if there is one."""
    log = _logs.get(threading.get_ident())
    if log is not None:
        log.append((launch, words))


@functools.cache
def _trampoline(words: int) -> Callable[[int, tuple[int, ...]], None]:
    signature = void(int64, types.UniTuple(int64, words))

    @cached_njit(signature, nogil=True)
    def call(kernel: int, arguments: tuple[int, ...]) -> None:
        call_address(kernel, words_on_stack(arguments), 0, 1)

    return entry_point(call)


def compiled(kernel: Callable[[int, int, int], None], **options: Any) -> int:
    """Compile or load a kernel, a function of (arguments, thread, threads); return its address."""
    made = cached_cfunc(SIGNATURE, error_model="numpy", **options)(kernel)
    _kernels.append(made)  # for the life of the process
    return int(made.address)


_kernels: list[Any] = []
