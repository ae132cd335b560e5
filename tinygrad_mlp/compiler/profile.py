"""Profile: how long each kernel of a program takes, measured on copies of its memory.

A twin of the program gets copies of all state and inputs, and its own arena. Its kernels are
launched one by one, in the order of the program and by the same number of threads, so that each
finds its data nearly as in a real run. A short kernel is repeated in one launch, and the time of an
empty launch is subtracted. Before each round the state is copied again. The result is the median
over the rounds. The whole step, all kernels in one launch, is timed too. It takes less than the sum
of its kernels: independent kernels run side by side, and there is no time between two launches.

Ops in Python are not run and not timed. Their results are zeros.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from ..autograd import modes
from ..autograd.values import from_array
from ..kernels.runtime.executor import MANY, TIMES, TableRow, build_program
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.memory import address_of
from ..ops.elementwise.arithmetic import neg
from ..ops.fused.matmul import matmul
from .executable import Executable
from .ir import STATE, Buffer, Instruction, Program

_SECONDS = 0.3  # for all rounds together
_MIN_ROUNDS, _MAX_ROUNDS = 5, 200
_LONG = 2e-5  # seconds that one launch measures well


class Twin(Executable):
    """A program on copies of its state."""

    def __init__(self, source: Program):
        self.copies: dict[Buffer, np.ndarray] = {}
        super().__init__(source)

    def address(self, buffer: Buffer) -> int:
        """Return the address of a buffer; of state, that of its copy."""
        if buffer.role != STATE:
            return super().address(buffer)
        if buffer not in self.copies:
            self.copies[buffer] = np.zeros(buffer.nbytes + 64, np.uint8)
        return -(-address_of(self.copies[buffer]) // 64) * 64

    def restore(self) -> None:
        """Copy the current state."""
        for buffer in self.copies:
            ctypes.memmove(self.address(buffer), buffer.address, buffer.nbytes)

    def kernels(self) -> list[tuple[Instruction, Launch]]:
        """Return each kernel as a launch of its own."""
        total = sum(step.call.launch.work for step in self.steps if step.call is not None)
        found, at = [], 0
        for step in self.steps:
            if step.call is not None:
                arguments = address_of(self.words) + 8 * at
                row = TableRow(step.call.launch.kernel, arguments, step.threads)
                work = total if step.threads == MANY else 0.0
                found.append((step.instruction, build_program([row], work)))
                at += 1 + len(step.call.words)
        return found


def measure(program: Program, inputs: list[Any]) -> tuple[dict[Instruction, float], float]:
    """Return the seconds of each instruction that has kernels, and of the whole program."""
    twin = Twin(program)
    twin.bind([from_array(v) if isinstance(v, np.ndarray) else v.detach().clone() for v in inputs])
    kernels, empty = twin.kernels(), build_program([], 0.0)
    times: list[list[float]] = [[] for _ in kernels]
    whole: list[float] = []
    start = time.perf_counter()
    while len(whole) < _MIN_ROUNDS or (
        len(whole) < _MAX_ROUNDS and time.perf_counter() - start < _SECONDS
    ):
        twin.restore()
        idle = _seconds(empty)
        for (_, launch), own in zip(kernels, times, strict=True):
            taken, repeats = _seconds(launch), int(launch.constants[TIMES])
            own.append(max(taken - idle, 0.0) / repeats)
            if taken < _LONG and repeats < 200:
                launch.constants[TIMES] = repeats * 2
        twin.restore()
        whole.append(sum(_seconds(part) for part in twin.parts if isinstance(part, Launch)))
    result: dict[Instruction, float] = {}
    for (instruction, _), own in zip(kernels, times, strict=True):
        result[instruction] = result.get(instruction, 0.0) + median(own[len(own) // 3 :])
    return result, median(whole)


def _seconds(launch: Launch) -> float:
    start = time.perf_counter()
    launch.run((launch.constants_address,))
    return time.perf_counter() - start


def machine(dtype: np.dtype) -> tuple[float, float]:
    """Return the peak FLOP/s of a product and the bytes/s of an elementwise op on this machine."""
    with modes.unrecorded(), modes.grad_mode(False):
        a = from_array(np.full((768, 768), 0.5, dtype))
        x = from_array(np.zeros((1 << 23), dtype))  # larger than caches
        return (
            2 * 768**3 / _fastest(lambda: matmul(a, a)),
            2 * x.layout.nbytes / _fastest(lambda: neg(x)),
        )


def _fastest(function: Callable[[], Any]) -> float:
    times = []
    for _ in range(8):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)
