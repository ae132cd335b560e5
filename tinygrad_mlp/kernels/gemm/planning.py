"""How a matrix product is done: which kernel, how it is blocked, what it copies.

Chosen from shapes and strides alone, never from the number of threads: so a product has one order
of summing, and one result.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..launch import Launch
from ..layout import Layout, broadcast_strides, coalesce
from . import words as at
from .source import address
from .vectors import UNITS, host

_BLOCK_M, _BLOCK_N, _BLOCK_K = 240, 1024, 512  # a block of A: 480 KiB; a panel of B: 64 KiB
_NARROW = 8  # columns of B that may be copied to lie along k
_COPY = 1 << 18  # bytes


@dataclass(frozen=True)
class Finish:
    """An elementwise kernel that goes on with C: its address, and its operands, C the first.

    ``strides`` holds for each operand its byte strides from product to product, row to row and
    column to column; along a row, all of them step as the kernel was generated to.
    """

    kernel: int
    strides: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Plan:
    """What to launch on (A, B, bias, C, scratch, threads, what Finish reads beside C)."""

    launch: Launch
    per_thread: int
    shared: int

    def scratch(self, threads: int) -> int:
        """Bytes of scratch for this many threads."""
        return self.per_thread * threads + self.shared


@dataclass
class _Problem:
    """One product C = A B of a batch; strides in bytes."""

    m: int
    n: int
    k: int
    a: tuple[int, int]
    b: tuple[int, int]
    c: tuple[int, int]
    item: int
    lanes: int
    height: int
    width: int

    def constants(self) -> dict[int, int]:
        """Sizes and strides, where the kernels look for them."""
        return {at.M: self.m, at.N: self.n, at.K: self.k, at.A_ROW: self.a[0], at.A_COL: self.a[1],
                at.B_ROW: self.b[0], at.B_COL: self.b[1], at.C_ROW: self.c[0],
                at.C_COL: self.c[1]}  # fmt: skip

    def turned(self) -> _Problem:
        """C' = B' A'."""
        (a, b, c) = (each[::-1] for each in (self.b, self.a, self.c))
        return _Problem(self.n, self.m, self.k, a, b, c, self.item, self.lanes, self.height,
                        self.width)  # fmt: skip


def plan(
    a: Layout, b: Layout, c: Layout, start: int = at.ZEROS, finish: Finish | None = None,
    unit: str | None = None, form: str | None = None,
) -> Plan | None:  # fmt: skip
    """The plan for C = A B of (..., M, K) and (..., K, N), the leading axes broadcast.

    By default for the host's vector unit, and by the form (outer, inner, row) that is cheapest.
    None where the leading axes take more than one stride; copies of A and B then help.
    """
    batch = c.shape[:-2]
    steps = [broadcast_strides(each, (*batch, 1, 1))[:-2] for each in (a, b, c)]
    count, strides = coalesce(batch, steps)
    if len(count) > 1:
        return None
    registers = UNITS[unit or host()]
    item = c.dtype.itemsize
    problem = _Problem(
        *c.shape[-2:], a.shape[-1], a.strides[-2:], b.strides[-2:], c.strides[-2:], item,
        registers.lanes(item), registers.rows[0], registers.columns(item),
    )  # fmt: skip
    places = [*(count or [1]), *(stride[0] if stride else 0 for stride in strides)]
    may_turn = places[0] == 1 and start == at.ZEROS and finish is None
    name, turned = (form, False) if form else _choose(problem, may_turn)
    if turned:
        problem = problem.turned()
        places[1], places[2] = places[2], places[1]
    chosen = _outer(problem) if name == "outer" else _inner(problem)
    chosen |= dict(zip((at.BATCH, at.A_BATCH, at.B_BATCH, at.C_BATCH), places, strict=True))
    chosen |= problem.constants()
    chosen |= {at.START: start, at.TURNED: int(turned)}
    if name == "outer":
        chosen[at.TILES] = address("rows", str(c.dtype), unit)
    if finish:
        chosen |= {at.FINISH: finish.kernel, at.OPERANDS: len(finish.strides)}
    constants = [chosen.get(place, 0) for place in range(at.STRIDES)]
    operands = finish.strides if finish else ()
    constants += [stride for strides in operands for stride in strides]
    words = at.BESIDE - 1 + max(len(operands) - 1, 0)
    work = 0.3 * places[0] * min(_outer_cost(problem), _inner_cost(problem))
    launch = Launch(address(name, str(c.dtype), unit), words, constants, work)
    turned_bytes = problem.m * problem.n * item if turned else 0
    return Plan(launch, chosen[at.PER_THREAD], turned_bytes)


def _choose(problem: _Problem, may_turn: bool) -> tuple[str, bool]:
    """The kernel, and whether C' is computed in place of C."""
    if _can_be_inner(problem) and _inner_cost(problem) < _outer_cost(problem):
        return "inner", False
    turn = (
        may_turn and problem.a[0] == problem.item and problem.n <= _NARROW < problem.m
        and problem.m * problem.n * problem.item <= _COPY
    )  # fmt: skip
    form = problem.turned() if turn else problem
    row = form.m == 1 and form.b[1] == form.item and form.c[1] == form.item
    return ("row" if row else "outer"), turn


def _can_be_inner(p: _Problem) -> bool:
    """Whether A lies along k, and B does or is narrow enough to be copied."""
    along = p.b[0] == p.item or (p.n <= _NARROW and p.n * p.k * p.item <= _COPY)
    return p.a[1] == p.item and along


def _inner_cost(p: _Problem) -> float:
    """About how many vector operations: the products, the sums of lanes, a copy of B."""
    rows, columns = (p.m, p.n) if 1 in (p.m, p.n) else (_up(p.m, 4), _up(p.n, 4))
    copy = 0.0 if p.b[0] == p.item else 1.5 * p.n * p.k
    return rows * columns * (_up(p.k, p.lanes) / p.lanes + 4) + copy


def _outer_cost(p: _Problem) -> float:
    """About how many vector operations: the products, and packing B."""
    vectors = _up(p.n, p.lanes) / p.lanes
    pack = 0.0 if _reads_b(p) else 2 * vectors if p.b[1] == p.item else 6 * vectors
    return p.k * (max(p.m, 2) * vectors + pack)


def _inner(p: _Problem) -> dict[int, int]:
    """What the inner form and the row form need: scratch for a copy of B."""
    copied = 0 if p.b[0] == p.item else p.n * p.k * p.item
    return {at.PER_THREAD: _up(at.BLOCK_A + min(copied, _COPY), 64)}


def _outer(p: _Problem) -> dict[int, int]:
    """How the outer form is blocked, and the scratch that a thread needs for it."""
    block_m, block_k = min(p.m, _BLOCK_M) or 1, min(p.k, _BLOCK_K) or 1
    block_n = _BLOCK_N if p.m > block_m else _up(p.n, p.width) or p.width
    copy_a = _copies_a(p)
    block = (block_m + 2 * p.lanes) * (block_k + 2 * p.lanes) * p.item if copy_a else 0
    panel = _up(block_k, p.lanes) * p.width * p.item
    panels_at = _up(at.BLOCK_A + block, 64)
    step = panel if p.m > block_m else 0
    panels = min(block_n, _up(p.n, p.width)) // p.width if step else 1
    return {
        at.BLOCK_M: block_m, at.BLOCK_N: block_n, at.BLOCK_K: block_k,
        at.COPY_A: int(copy_a), at.DIRECT_B: int(_reads_b(p)),
        at.PANELS_AT: panels_at, at.PANEL_STEP: step,
        at.PER_THREAD: _up(panels_at + panel * panels, 64),
    }  # fmt: skip


def _reads_b(p: _Problem) -> bool:
    """Whether B is read where it lies: few rows meet it, and its rows are contiguous."""
    return p.b[1] == p.item and p.m <= 2 * p.height


def _copies_a(p: _Problem) -> bool:
    """Whether blocks of A are copied together: many panels go past them."""
    return p.n >= 8 * p.width and p.m > _BLOCK_M


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
