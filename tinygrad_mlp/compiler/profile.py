"""How long each kernel of a program takes, measured on private memory: nothing is changed.

A twin of the program gets copies of all state and inputs, and an arena of its own. Its kernels are
launched one by one, in the order of the program and by as many threads as in it, so that each sees
the data it would see, or nearly: a short one is run many times in one launch, and the time of an
empty launch is subtracted. Before each round the state is copied anew. The median of the rounds
counts, and each takes its turn with all others. The step itself, all
kernels in one launch, is timed the same way: it is less than their sum, for kernels that wait for
nothing run side by side, and nobody waits between two launches.

What runs in Python is not run and not timed; where its results would be are zeros.
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
from ..kernels.runtime.executor import MANY, TIMES, TableRow
from ..kernels.runtime.executor import build_program as rows_of
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.memory import address_of
from ..ops.elementwise.arithmetic import neg
from ..ops.fused.matmul import matmul
from .executable import Executable
from .ir import STATE, Buffer, Instruction, Program

_SECONDS = 0.3  # for all rounds together
_ROUNDS = range(5, 200)  # how many at least and at most
_LONG = 2e-5  # seconds that are well measured in one launch


class Twin(Executable):
    """A program on copies of its state."""

    def __init__(self, source: Program):
        self.copies: dict[Buffer, np.ndarray] = {}
        super().__init__(source)

    def address(self, buffer: Buffer) -> int:
        """Where a buffer lies: of state, where its copy does."""
        if buffer.kind != STATE:
            return super().address(buffer)
        if buffer not in self.copies:
            self.copies[buffer] = np.zeros(buffer.nbytes + 64, np.uint8)
        return -(-address_of(self.copies[buffer]) // 64) * 64

    def restore(self) -> None:
        """Copy the state as it is now."""
        for buffer in self.copies:
            ctypes.memmove(self.address(buffer), buffer.address, buffer.nbytes)

    def rows(self) -> list[tuple[Instruction, Launch]]:
        """Each kernel as a launch of its own."""
        total = sum(step.call.launch.work for step in self.steps if step.call is not None)
        found, at = [], 0
        for step in self.steps:
            if step.call is not None:
                arguments = address_of(self.words) + 8 * at
                row = TableRow(step.call.launch.kernel, arguments, step.threads)
                work = total if step.threads == MANY else 0.0
                found.append((step.instruction, rows_of([row], work)))
                at += 1 + len(step.call.words)
        return found


def times(program: Program, inputs: list[Any]) -> tuple[dict[Instruction, float], float]:
    """The seconds of each instruction that has kernels, and of the whole."""
    twin = Twin(program)
    copies = [
        from_array(given) if isinstance(given, np.ndarray) else given.detach().clone()
        for given in inputs
    ]
    twin.bind(copies)
    rows = twin.rows()
    empty = rows_of([], 0.0)
    found: list[list[float]] = [[] for _ in rows]
    idle: list[float] = []
    whole: list[float] = []
    begun = time.perf_counter()
    for count in range(_ROUNDS.stop):
        if count >= _ROUNDS.start and time.perf_counter() - begun > _SECONDS:
            break
        twin.restore()
        idle.append(_seconds(empty))
        for (_, launch), each in zip(rows, found, strict=True):
            taken, often = _seconds(launch), int(launch.constants[TIMES])
            each.append(max(taken - idle[-1], 0.0) / often)
            if taken < _LONG and often < 200:
                launch.constants[TIMES] = often * 2
        twin.restore()
        whole.append(sum(_seconds(part) for part in twin.parts if isinstance(part, Launch)))
    result: dict[Instruction, float] = {}
    for (instruction, _), each in zip(rows, found, strict=True):
        result[instruction] = result.get(instruction, 0.0) + median(each[len(each) // 3 :])
    return result, median(whole)


def _seconds(launch: Launch) -> float:
    begun = time.perf_counter()
    launch.run((launch.constants_address,))
    return time.perf_counter() - begun


def machine(dtype: np.dtype) -> tuple[float, float]:
    """Peak FLOP/s and bytes/s of this package's own kernels here: a product, and a pass."""
    with modes.unrecorded(), modes.grad_mode(False):
        a = from_array(np.full((768, 768), 0.5, dtype))
        x = from_array(np.zeros((1 << 23), dtype))  # larger than caches
        return (
            2 * 768**3 / _best(lambda: matmul(a, a)),
            2 * x.layout.nbytes / _best(lambda: neg(x)),
        )


def _best(run: Callable[[], Any]) -> float:
    taken = []
    for _ in range(8):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return min(taken)
