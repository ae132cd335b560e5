"""A program stays with what was faster, and looks again."""

from __future__ import annotations

import math

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.program import pace
from tinygrad_mlp.program.pace import Pace


def runs(chosen: Pace, together: float, alone: float, count: int) -> list[bool]:
    """How so many runs went, on all threads or not, if they take so long."""
    went = []
    for _ in range(count):
        went.append(chosen.shared)
        if not chosen.settled(1):
            chosen.took(together if chosen.shared else alone, 1)
    return went


@pytest.mark.parametrize("together", [1.0, 3.0])
def test_it_tries_both_and_takes_the_faster(together: float) -> None:
    chosen = Pace(50_000, 10_000, 2)
    went = runs(chosen, together / 1e6, 2 / 1e6, 100)
    assert went[: 2 * pace._TRIALS] == [True, False] * pace._TRIALS
    assert set(went[2 * pace._TRIALS :]) == {together < 2.0}


def test_what_is_alike_is_shared() -> None:
    """While the workers rest after a long wait, a shared run is one on one thread."""
    chosen = Pace(50_000, 10_000, 2)
    runs(chosen, 2.0e-4, 1.9e-4, 2 * pace._TRIALS)
    assert chosen.shared


def test_it_looks_again_and_changes_its_mind() -> None:
    chosen = Pace(50_000, 10_000, 2)
    runs(chosen, 1e-4, 2e-4, 2 * pace._TRIALS)
    assert chosen.shared
    assert chosen.runs_left == pytest.approx(pace._AGAIN / 1e-4)
    went = runs(chosen, 5e-4, 2e-4, int(2 * pace._AGAIN / 1e-4))
    assert went[-1] is False


def test_many_runs_in_one_count_as_many() -> None:
    chosen = Pace(50_000, 10_000, 2)
    for _ in range(2 * pace._TRIALS):
        assert not chosen.settled(100)
        chosen.took(100.0 if chosen.shared else 300.0, 100)
    assert chosen.shared
    assert chosen.fastest == {True: 1.0, False: 3.0}
    assert chosen.runs_left == pace._AGAIN


@pytest.mark.parametrize(
    ("work", "threads"), [(5_000, 2), (50_000, 1), (1e9, 2)], ids=["small", "one thread", "large"]
)
def test_some_programs_need_no_trial(work: float, threads: int) -> None:
    chosen = Pace(work, 10_000, threads)
    assert chosen.settled(1)
    assert chosen.runs_left == math.inf
    assert chosen.shared


def test_the_bits_are_the_same_either_way() -> None:
    w = tg.randn(64, 64)

    @tg.compile
    def step(x):
        return (x @ w).tanh() @ w.T

    x = tg.randn(100, 64)
    wanted = step(x).tolist()
    for _ in range(3 * pace._TRIALS):
        assert step(x).tolist() == wanted
    assert step.last.executable.pace.settled(1)
