"""Plans of matrix products: made once for the layouts of the operands, called on addresses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import int64, types, void

from ..runtime import threads
from ..runtime.cache import cached_njit, entry_point
from ..runtime.launch import Launch, recording_launches
from ..runtime.layout import Layout, broadcast_strides, coalesce
from ..runtime.memory import call_address, room_on_stack, scratch, words_on_stack
from . import words as at
from .choose import FORMS, choose
from .source import address
from .vectors import UNITS, host

# The largest blocks of M, N and K. In float32: a block of A has at most 960 KiB, a panel of B
# 128 KiB, the panels of a block 8 MiB. A is read through the L2 cache; C, which is not in it, is
# read and written half as often as with 512.
_BLOCKS = (240, 2048, 1024)
STACK = 72 << 10  # bytes of scratch that the stack of any thread has room for
NS = 0.3  # nanoseconds of a vector operation, about


@dataclass(frozen=True)
class Finish:
    """An elementwise kernel that runs on C: its address, and the strides of its operands, C first.

    ``strides`` holds each operand's byte strides between products, rows and columns. Along a row,
    operands have the access for which the kernel was generated.
    """

    kernel: int
    strides: tuple[tuple[int, int, int], ...]


class Plan:
    """A product to run on addresses: ``plan(a, b, bias, c, *operands of a finish besides C)``."""

    __slots__ = ("constants", "kernel", "launch", "on_stack", "per_thread", "shared")

    def __init__(self, launch: Launch, finished: bool):
        sizes = launch.constants
        self.launch, self.per_thread = launch, int(sizes[at.PER_THREAD])
        self.shared = int(sizes[at.TRANSPOSED] * sizes[at.M] * sizes[at.N] * 8)  # C', of any dtype
        self.kernel, self.constants = launch.kernel, launch.constants_address
        small = launch.work < threads.SMALL and self.scratch(1) <= STACK and not finished
        self.on_stack = _on_stack() if small else None

    def scratch(self, threads: int) -> int:
        """Return the bytes of scratch for this many threads."""
        return self.per_thread * threads + self.shared

    def __call__(self, a: int, b: int, bias: int, c: int, *operands: int) -> None:
        """Run on these addresses, on one thread or all."""
        self.run((self.constants, a, b, bias, c), operands)

    def run(self, words: tuple[int, ...], operands: tuple[int, ...] = ()) -> None:
        """Run on argument words: the address of the constants, then those of the operands.

        It does the same as a call and is 0.1 us faster: Python unpacks no arguments.
        """
        if self.on_stack is not None and not recording_launches():
            self.on_stack(self.kernel, words)
            return
        count = threads.get_num_threads()
        self.launch.run((*words, scratch(self.scratch(count)), count, *operands))


@functools.cache
def _on_stack() -> Callable[[int, tuple[int, ...]], None]:
    """Return a trampoline into a product on one thread, with its scratch on the stack."""

    @cached_njit(void(int64, types.UniTuple(int64, 5)), nogil=True)
    def call(kernel, words):
        call_address(kernel, words_on_stack((*words, room_on_stack(STACK), 1)), 0, 1)

    return entry_point(call)


def plan(
    a: Layout,
    b: Layout,
    c: Layout,
    start: int = at.ZEROS,
    finish: Finish | None = None,
    unit: str | None = None,
    form: str | None = None,
) -> Plan | None:
    """Return the plan of C = A B of (..., M, K) and (..., K, N), the leading axes broadcast.

    Args:
        start: the start of the sums: ZEROS, BIASED (C's rows start from a bias) or ACCUMULATED.
        finish: an elementwise kernel that runs on finished blocks of C.
        unit: the vector unit, by default the host's.
        form: outer, inner or row, by default the cheapest.

    Returns:
        None if the leading axes have more than one stride: copies of A and B then help.
    """
    batch = c.shape[:-2]
    steps = [broadcast_strides(each, (*batch, 1, 1))[:-2] for each in (a, b, c)]
    count, strides = coalesce(batch, steps)
    if len(count) > 1:
        return None
    operands = finish.strides if finish else ()
    if len(operands) > at.MOST_OPERANDS:
        raise ValueError(
            f"a product is finished with at most {at.MOST_OPERANDS} operands, not {len(operands)}"
        )
    constants = np.zeros(at.STRIDES + 3 * len(operands), np.int64)
    constants[at.STRIDES :] = [stride for strides in operands for stride in strides]
    batch_strides = (stride[0] if stride else 0 for stride in strides)
    constants[[at.BATCH, at.A_BATCH, at.B_BATCH, at.C_BATCH]] = *(count or [1]), *batch_strides
    constants[[at.M, at.N, at.K]] = *c.shape[-2:], a.shape[-1]
    constants[[at.A_ROW, at.A_COL]] = a.strides[-2:]
    constants[[at.B_ROW, at.B_COL]] = b.strides[-2:]
    constants[[at.C_ROW, at.C_COL]] = c.strides[-2:]
    constants[at.START] = start
    if finish:
        constants[[at.FINISH, at.OPERANDS]] = finish.kernel, len(operands)
    may_transpose = bool(constants[at.BATCH] == 1 and start == at.ZEROS and finish is None)
    sizes, number = constants.tolist(), FORMS.index(form) if form else -1
    number, cost = choose(sizes, number, may_transpose, tile_of(c.dtype.itemsize, unit), _BLOCKS)
    constants[:] = sizes
    chosen = FORMS[number]
    constants[at.TILES] = address("tiles", str(c.dtype), unit) if chosen == "outer" else 0
    kernel = address(chosen, str(c.dtype), unit)
    words = at.OPERAND - 1 + max(len(operands) - 1, 0)
    return Plan(Launch(kernel, words, constants, cost * NS), finish is not None)


def tile_of(item: int, unit: str | None = None) -> tuple[int, int, int, int]:
    """Return the bytes of an element, and a unit's lanes, rows of a tile and columns of a tile."""
    registers = UNITS[unit or host()]
    return item, registers.lanes(item), registers.rows[0], registers.columns(item)
