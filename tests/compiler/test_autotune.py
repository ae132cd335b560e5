"""A program stays with what was faster, and looks again."""

from __future__ import annotations

import math

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.compiler import autotune
from tinygrad_mlp.compiler.autotune import Autotuner


def runs(chosen: Autotuner, together: float, alone: float, count: int) -> list[bool]:
    """How so many runs went, on all threads or not, if they take so long."""
    went: list[bool] = []
    while len(went) < count:
        went_so = chosen.shared
        now, timed = chosen.next_runs(count - len(went))
        went += [went_so] * now
        if timed:
            chosen.record((together if went_so else alone) * now, now)
    return went


@pytest.mark.parametrize("together", [1.0, 3.0])
def test_it_tries_both_and_takes_the_faster(together: float) -> None:
    chosen = Autotuner(2 * autotune._TRIAL_WORK, 10_000, 2)
    went = runs(chosen, together / 1e3, 2 / 1e3, 100)
    assert went[: 2 * autotune._TRIALS] == [True, False] * autotune._TRIALS
    assert set(went[2 * autotune._TRIALS :]) == {together < 2.0}


def test_what_is_alike_is_shared() -> None:
    """While the workers rest after a long wait, a shared run is one on one thread."""
    chosen = Autotuner(50_000, 10_000, 2)
    runs(chosen, 2.0e-4, 1.9e-4, 2 * autotune._TRIALS * chosen.trial_runs)
    assert chosen.trials_left == 0
    assert chosen.shared


def test_it_looks_again_and_changes_its_mind() -> None:
    chosen = Autotuner(50_000, 10_000, 2)
    runs(chosen, 1e-4, 2e-4, 2 * autotune._TRIALS * chosen.trial_runs)
    assert chosen.shared
    assert chosen.runs_left == pytest.approx(autotune._PERIOD / 1e-4)
    went = runs(chosen, 5e-4, 2e-4, int(2 * autotune._PERIOD / 1e-4))
    assert went[-1] is False


def test_a_trial_is_a_moment_however_many_runs_are_wanted() -> None:
    """A million runs in a row are not done on one thread to see how that is."""
    chosen = Autotuner(50_000, 10_000, 2)
    assert chosen.trial_runs == autotune._TRIAL_WORK / 50_000
    assert chosen.next_runs(10**6) == (chosen.trial_runs, True)
    assert chosen.next_runs(3) == (3, True)
    went = runs(chosen, 1e-4, 3e-4, 10**4)
    assert went.count(False) <= autotune._TRIALS * chosen.trial_runs * 3


def test_a_long_run_follows_the_trials_whole() -> None:
    chosen = Autotuner(50_000, 10_000, 2)
    runs(chosen, 1.0, 2.0, 2 * autotune._TRIALS * chosen.trial_runs)
    assert chosen.next_runs(5) == (1, False)  # a run takes longer than it goes without looking


@pytest.mark.parametrize(
    ("work", "threads"), [(5_000, 2), (50_000, 1), (1e9, 2)], ids=["small", "one thread", "large"]
)
def test_some_programs_need_no_trial(work: float, threads: int) -> None:
    chosen = Autotuner(work, 10_000, threads)
    assert chosen.next_runs(7) == (7, False)
    assert chosen.runs_left == math.inf
    assert chosen.shared


def test_the_bits_are_the_same_either_way() -> None:
    w = tg.randn(64, 64)

    @tg.compile
    def step(x):
        return (x @ w).tanh() @ w.T

    x, before = tg.randn(100, 64), tg.get_num_threads()
    tg.set_num_threads(2)
    try:
        wanted = step(x).tolist()
        chosen = step.last.executable.autotuner
        assert chosen.trials_left == 2 * autotune._TRIALS
        for _ in range(2 * autotune._TRIALS * chosen.trial_runs):
            assert step(x).tolist() == wanted
        assert chosen.next_runs(1) == (1, False)
    finally:
        tg.set_num_threads(before)
