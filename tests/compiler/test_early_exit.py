"""A set error flag ends a program early, and all state is as it was; steps that repeat."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp.compiler import CompiledFunction
from tinygrad_mlp.compiler.memory_plan import arrange, lifetimes
from tinygrad_mlp.compiler.schedule import schedule
from tinygrad_mlp.ops.fused.epoch_ops import NotFinite, halt_unless_finite_, take_batch


def repeat(step: CompiledFunction, times: int):
    """So many calls: the first is captured, the others are one run."""
    run = step.repeater()
    if run is None:
        step()
        return repeat(step, times - 1)
    return run(times)


class Walk:
    """Takes numbers one by one, and sums them before and after a check that they are finite."""

    def __init__(self, numbers: list[float]):
        self.numbers = tg.tensor(numbers)
        self.order = tg.arange(len(numbers))
        self.cursor, self.stop = tg.zeros((), dtype="int64"), tg.zeros((), dtype="int64")
        self.early, self.seen, self.late = tg.zeros(()), tg.zeros(()), tg.zeros(())

    def step(self):
        x = take_batch(self.numbers, self.order, self.cursor, batch=1, rows=1)[0]
        self.early.add_(1)  # read by nothing: it can wait for the early exit
        self.seen.add_(1)
        halt_unless_finite_(self.stop, x * self.seen.sign())
        self.late.add_(x)
        self.cursor.add_(1)
        return x

    def state(self) -> list[float]:
        return [t.item() for t in (self.cursor, self.early, self.seen, self.late, self.stop)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [1, 2, 5])
def test_a_program_ends_where_a_number_is_not_finite(place: int, bad: float) -> None:
    numbers = [float(k) for k in range(1, 8)]
    numbers[place] = bad
    walk = Walk(numbers)
    step = CompiledFunction(walk.step)
    step()
    with pytest.raises(NotFinite) as caught:
        repeat(step, 6)
    assert str(caught.value.value) == str(bad)
    # `seen` is read before the check, so it is written before it too; and put back
    assert walk.state() == [place, place, place, sum(numbers[:place]), 1]
    walk.cursor.add_(1)  # step over it: the program runs again
    if place < 6:
        assert repeat(step, 6 - place).item() == 7
        assert walk.state()[0] == 7
    assert len(step.specializations) == 1


def test_eager_raises_at_once() -> None:
    walk = Walk([1.0, math.nan])
    walk.step()
    with pytest.raises(NotFinite, match="nan"):
        walk.step()
    assert walk.state() == [1, 2, 2, 1, 1]
    with pytest.raises(TypeError, match="int64 flag"):
        halt_unless_finite_(tg.zeros(()), tg.zeros(()))


def test_state_writes_wait_for_the_early_exit() -> None:
    walk = Walk([1.0, 2.0])
    step = CompiledFunction(walk.step)
    step()
    names = [i.name for i in step.program.instructions]
    check = names.index("halt_unless_finite_")
    assert names[:check].count("add_") == 1
    assert names[check:].count("add_") == 4 - 1
    assert [state.buffer.name for state, _ in step.program.saved] == ["self.seen"]
    assert "state writes: 1 wait for the last early exit" in step.program.notes
    assert "state: 4 bytes saved at the start, restored after an error" in step.program.notes


def test_state_is_written_behind_the_last_early_exit() -> None:
    walk = Walk([1.0, 2.0])
    step = CompiledFunction(walk.step)
    step()
    steps = schedule(step.program.instructions)
    exits = [k for k, each in enumerate(steps) if each.error_flag is not None]
    assert len(exits) == 2, "take_batch and halt_unless_finite_"
    for k in exits:
        assert steps[k - 1].phase < steps[k].phase, "all threads have met"
    order = [each.instruction for each in steps]
    last = max(k for k, each in enumerate(step.program.instructions) if each.error_flag)
    for instruction in step.program.instructions[last + 1 :]:
        if any(buffer.role == "state" for buffer in instruction.writes()):
            assert order.index(instruction) > exits[-1]


def test_state_that_is_read_before_an_early_exit_is_restored() -> None:
    """However late it is written: here behind a chain that the check does not depend on."""
    numbers = tg.tensor([1.0, math.nan])
    order, cursor, stop = tg.arange(2), tg.zeros((), dtype="int64"), tg.zeros((), dtype="int64")
    total = tg.zeros(40)

    def function():
        x = take_batch(numbers, order, cursor, batch=1, rows=1)
        chain = tg.ones(40)
        for axis in (0, 0, 0):  # sums, so that it stays a chain
            chain = chain.sum(axis, keepdim=True) / 40 + tg.zeros(40)
        total.add_(chain)
        seen = total * 2
        halt_unless_finite_(stop, x * seen[0])  # depends on the sum, which cannot wait
        cursor.add_(1)
        return seen

    step = CompiledFunction(function)
    assert step().tolist() == [2.0] * 40
    with pytest.raises(NotFinite):
        step()
    assert total.tolist() == [1.0] * 40
    assert cursor.item() == 1


def test_repeated_runs_equal_repeated_calls() -> None:
    numbers = np.random.default_rng(0).normal(size=50).tolist()
    once, many = Walk(numbers), Walk(numbers)
    alone, together = CompiledFunction(once.step), CompiledFunction(many.step)
    for _ in range(50):
        last = alone()
    assert together.repeater() is None
    assert repeat(together, 50).item() == last.item()
    assert together.repeater() is not None
    assert once.state() == many.state()


def test_programs_with_python_ops_repeat_and_exit_early() -> None:
    class Noted(tg.autograd.Function):
        calls = 0

        @staticmethod
        def forward(ctx, x):
            Noted.calls += 1
            return x + 1

    walk = Walk([1.0, 2.0, 3.0, math.nan, 5.0])
    total = tg.zeros(())

    def function():
        x = walk.step()
        total.add_(Noted.apply(x))

    step = CompiledFunction(function)
    with pytest.raises(NotFinite):
        repeat(step, 5)
    assert walk.state()[0] == 3
    assert total.item() == 2 + 3 + 4
    assert Noted.calls == 3


def test_rows_that_do_not_exist() -> None:
    x, order = tg.arange(6).reshape(3, 2), tg.tensor([2, 0, 1])
    cursor = tg.zeros((), dtype="int64")
    assert take_batch(x, order, cursor, batch=2, rows=2).tolist() == [[4, 5], [0, 1]]
    cursor.add_(1)
    assert take_batch(x, order, cursor, batch=2, rows=1).tolist() == [[2, 3]]
    with pytest.raises(IndexError, match="order has 3 rows, not 2 to 4"):
        take_batch(x, order, cursor, batch=2, rows=2)
    with pytest.raises(IndexError, match="order has rows 1 to 3, x has 3"):
        take_batch(x, order + 1, tg.zeros((), dtype="int64"), batch=2, rows=3)
    with pytest.raises(TypeError, match="in C order"):
        take_batch(x.T, order, cursor, batch=1, rows=1)
    take = CompiledFunction(lambda: take_batch(x, order, cursor, batch=2, rows=1))
    assert take().tolist() == [[2, 3]]
    order[2] = 3
    with pytest.raises(IndexError, match="order has rows 3 to 3, x has 3"):
        take()


def test_an_early_exit_is_passed_by_all_threads_before_its_flag_is_written_again() -> None:
    stop, total = tg.zeros((), dtype="int64"), tg.zeros(3)

    def step(x):
        halt_unless_finite_(stop, x[0])
        halt_unless_finite_(stop, x[1])
        total.add_(x)

    run = CompiledFunction(step)
    run(tg.ones(3))
    steps = schedule(run.program.instructions)
    exits = [each.phase for each in steps if each.error_flag is not None]
    halts = [each.phase for each in steps if each.call and "halt" in each.instruction.name]
    assert halts[0] < exits[0] < halts[1] < exits[1]


def test_flags_have_memory_of_their_own_from_the_start() -> None:
    """A program may end before a flag is written, and all flags are read then: they must be 0."""

    @CompiledFunction
    def run(x, y):
        before = x.T @ x.T  # has scratch memory in the first phase only
        return F.cross_entropy(before @ x, y) + F.cross_entropy(x * 2, y)

    run(tg.ones(70, 70), tg.arange(70))
    steps = schedule(run.program.instructions)
    offsets, _ = arrange(run.program, steps)
    flags = [region.buffer for region in run.program.error_flags() if region.buffer in offsets]
    assert len(flags) == 2
    spans = {each.buffer: each for each in lifetimes(run.program, steps)}
    assert all(spans[flag].first <= 0 for flag in flags)
    shared = [
        (flag, other)
        for flag in flags
        for other in spans
        if other is not flag
        and spans[other].first <= spans[flag].last
        and offsets[other] < offsets[flag] + flag.nbytes
        and offsets[flag] < offsets[other] + other.nbytes
    ]
    assert shared == []
