"""Ops that look alike and are not: other parameters, memory that was written, other arguments.

Expected values are worked out by hand, or by NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tests.compiler.training import data
from tinygrad_mlp import nn

SQUARE = np.arange(9, dtype=np.float32).reshape(3, 3)


def test_sums_over_two_axes_are_two_sums():
    step = tg.compile(lambda x: x.sum(0) - x.sum(1))
    for factor in (1, 2, 3):  # columns sum to 9, 12, 15, and rows to 3, 12, 21
        wanted = [6.0 * factor, 0.0, -6.0 * factor]
        assert step(tg.tensor(SQUARE * factor)).tolist() == wanted
    assert [each.name for each in step.program.instructions].count("sum") == 2


def test_an_op_is_repeated_after_its_input_was_written():
    @tg.compile
    def step(x):
        s = x * 1
        first = s.exp()
        s.add_(1)
        return first, s.exp()

    for k in range(3):
        x = np.array([0.0, 1.0, -2.0], np.float32) + k
        first, second = step(tg.tensor(x))
        np.testing.assert_allclose(first.numpy(), np.exp(x), rtol=1e-6)
        np.testing.assert_allclose(second.numpy(), np.exp(x + 1), rtol=1e-6)


def test_an_op_is_repeated_after_state_was_written():
    state = tg.tensor([0.0, 1.0])

    @tg.compile
    def step():
        first = state.exp()
        state.add_(1)
        return first, state.exp()

    for k in range(3):
        first, second = step()
        np.testing.assert_allclose(first.numpy(), np.exp([k, k + 1.0]), rtol=1e-6)
        np.testing.assert_allclose(second.numpy(), np.exp([k + 1.0, k + 2.0]), rtol=1e-6)


def test_a_result_is_written_between_two_ops_that_are_alike():
    @tg.compile
    def step(x):
        first, second = x.exp(), x.exp()
        first.mul_(2)
        return first, second, x.exp()

    for k in range(3):
        x = np.array([0.5, -1.0], np.float32) * k
        found = step(tg.tensor(x))
        for factor, each in zip((2, 1, 1), found, strict=True):
            np.testing.assert_allclose(each.numpy(), factor * np.exp(x), rtol=1e-6)


def test_one_tensor_for_two_arguments_after_two():
    """``step(z, z)`` needs a program of its own: what is written to one is read from the other."""

    @tg.compile
    def step(a, b):
        a.add_(1)
        return a * 10 + b

    assert step(tg.tensor([1.0]), tg.tensor([5.0])).item() == 25
    for k in range(3):
        z = tg.tensor([1.0 + k])
        assert step(z, z).item() == 11 * (2 + k)
        assert z.item() == 2 + k
        assert step(tg.tensor([1.0]), tg.tensor([5.0])).item() == 25
        both = tg.tensor([1.0, 2.0])
        assert step(both[:1], both[1:]).item() == 22
    assert step.captures == 3


def test_views_of_one_tensor_for_two_arguments():
    @tg.compile
    def step(a, b):
        a.add_(b)
        return b * 1

    for shift in (0, 1, 2, 0, 1, 2):
        values = np.arange(5, dtype=np.float32)
        base = tg.tensor(values)
        values[: 5 - shift] += values[shift:].copy()
        found = step(base[: 5 - shift], base[shift:])
        assert base.tolist() == values.tolist()
        assert found.tolist() == values[shift:].tolist()


@pytest.mark.parametrize("captured", [1, 2, 3])
@pytest.mark.parametrize("called", [1, 2, 5])
def test_a_program_for_another_number_of_threads(captured: int, called: int) -> None:
    """A program belongs to a number of threads: another number captures again."""
    model = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 3))
    step = tg.compile(model)
    x, _ = data(0, 300)
    before = tg.get_num_threads()
    try:
        with tg.no_grad():
            wanted = model(x).tolist()
            tg.set_num_threads(captured)
            assert step(x).tolist() == step(x).tolist() == wanted
            first = step.last
            tg.set_num_threads(called)
            assert step(x).tolist() == step(x).tolist() == wanted
            assert (step.last is first) == (captured == called)
            tg.set_num_threads(captured)
            assert step(x).tolist() == wanted
            assert step.last is first
    finally:
        tg.set_num_threads(before)


OPS = {
    "sum 0": (lambda x: x.sum(0), lambda x: x.sum(0)),
    "sum 1": (lambda x: x.sum(1), lambda x: x.sum(1)),
    "max 0": (lambda x: x.amax(0), lambda x: x.max(0)),
    "max 1": (lambda x: x.amax(1), lambda x: x.max(1)),
    "rows": (lambda x: x[0], lambda x: x[0]),
    "columns": (lambda x: x[:, 0], lambda x: x[:, 0]),
    "lower": (lambda x: x.clamp(-1.0, 2.0).sum(0), lambda x: x.clip(-1, 2).sum(0)),
    "upper": (lambda x: x.clamp(-2.0, 1.0).sum(0), lambda x: x.clip(-2, 1).sum(0)),
    "twice": (lambda x: (x * 2.0).sum(0), lambda x: (x * 2).sum(0)),
    "thrice": (lambda x: (x * 3.0).sum(0), lambda x: (x * 3).sum(0)),
    "less 2": (lambda x: (x - 2.0).sum(0), lambda x: (x - 2).sum(0)),
    "2 less": (lambda x: (2.0 - x).sum(0), lambda x: (2 - x).sum(0)),
}
WRITES = {
    "add": (lambda x: x.add_(1.0), lambda x: x.__iadd__(1)),
    "mul": (lambda x: x.mul_(-2.0), lambda x: x.__imul__(-2)),
    "row": (lambda x: x[1].zero_(), lambda x: x[1].fill(0)),
    "column": (lambda x: x[:, 2].add_(3.0), lambda x: x[:, 2].__iadd__(3)),
}
steps = st.lists(
    st.one_of(st.sampled_from(sorted(OPS)), st.sampled_from(sorted(WRITES))), min_size=2, max_size=9
)


@settings(max_examples=60)
@given(steps, st.booleans())
def test_ops_and_writes_in_any_order(names: list[str], of_state: bool) -> None:
    """Whole numbers: NumPy gives the same bits."""
    state = tg.tensor(SQUARE - 4)

    def step(x):
        value = state if of_state else x * 1
        found = []
        for name in names:
            if name in WRITES:
                WRITES[name][0](value)
            else:
                found.append(OPS[name][0](value))
        return [each * 1 for each in found], value * 1

    run = tg.compile(step)
    kept = SQUARE - 4
    for k in range(3):
        array = kept if of_state else SQUARE - k
        wanted = []
        for name in names:
            if name in WRITES:
                WRITES[name][1](array)
            else:
                wanted.append(OPS[name][1](array))  # a view sees later writes
        found, value = run(tg.tensor(SQUARE - k))
        assert [each.tolist() for each in found] == [each.tolist() for each in wanted]
        assert value.tolist() == array.tolist()


def test_an_op_on_other_regions_of_one_tensor() -> None:
    step = tg.compile(lambda x: (x.exp() - x.T.exp(), x[0].exp() - x[1].exp(), x[:, 1].exp()))
    for k in range(3):
        x = np.float64(SQUARE) / (k + 4)
        e = np.exp(x)
        for got, wanted in zip(step(tg.tensor(x)), (e - e.T, e[0] - e[1], e[:, 1]), strict=True):
            np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-12)
