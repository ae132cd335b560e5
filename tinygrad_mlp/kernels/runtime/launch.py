"""The way from Python into a kernel: one trampoline, whatever the kernel.

A `Launch` is a kernel with its constants, ready to be called on addresses. Eager mode makes one per
op and layouts and calls it; a compiled program writes the same words into its table: it learns them
from those who `listen` while a step runs.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numba import cfunc, int64, njit, types, void

from . import threads
from .cache import entry, kept
from .memory import SIGNATURE, address_of, call_address, words_on_stack


class Launch:
    """A compiled kernel and its constants.

    Called with the addresses of inputs, then outputs, it runs the kernel and returns when all its
    threads are done. ``work`` is about how many nanoseconds it takes on one thread: small work
    stays there, where waking the others would cost more than they save.
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
        """Run on these addresses, on one thread or all."""
        self.run((self.constants_address, *addresses))

    def run(self, words: tuple[int, ...]) -> None:
        """Run on argument words: the address of the constants, then those of the operands.

        The same as a call, but 0.3 us faster: Python unpacks no arguments.
        """
        if _listeners:
            tell(self, words)
        if self.work < threads.SMALL or not threads.shared(self.kernel, words, self.work):
            self.call(self.kernel, words)

    def alone(self, words: tuple[int, ...]) -> None:
        """Run on argument words, on this thread."""
        self.call(self.kernel, words)


Heard = list[tuple[Launch, tuple[int, ...]]]
_listeners: dict[int, Heard] = {}  # by thread


@contextlib.contextmanager
def listen() -> Iterator[Heard]:
    """Every launch of this thread inside the block, with its argument words, in order."""
    heard: Heard = []
    thread = threading.get_ident()
    before = _listeners.get(thread)
    _listeners[thread] = heard
    try:
        yield heard
    finally:
        if before is None:
            del _listeners[thread]
        else:
            _listeners[thread] = before


def listening() -> bool:
    """Whether somebody listens to this thread."""
    return bool(_listeners) and threading.get_ident() in _listeners


def tell(launch: Launch, words: tuple[int, ...]) -> None:
    """Tell who listens to this thread, if anybody, of a launch."""
    heard = _listeners.get(threading.get_ident())
    if heard is not None:
        heard.append((launch, words))


@functools.cache
def _trampoline(words: int) -> Callable[[int, tuple[int, ...]], None]:
    @kept(njit(void(int64, types.UniTuple(int64, words)), cache=True, nogil=True), words)
    def call(kernel, arguments):
        call_address(kernel, words_on_stack(arguments), 0, 1)

    return entry(call)


def compiled(kernel: Callable[[int, int, int], None], **options: object) -> int:
    """Compile a kernel (a function of arguments, thread, threads), or load it; its address."""
    return keep(kept(cfunc(SIGNATURE, cache=True, error_model="numpy", **options))(kernel))


def keep(kernel) -> int:
    """The address of compiled code, which lives as long as the object that we keep here."""
    _kept.append(kernel)
    return kernel.address


_kept: list = []
