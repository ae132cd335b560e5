"""Autotuning: both variants are timed, the faster one is used, and measured again later."""

from __future__ import annotations

import math

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.compiler import autotune
from tinygrad_mlp.compiler.autotune import Autotuner


def runs(chosen: Autotuner, together: float, alone: float, count: int) -> list[bool]:
    """Return for each run whether it was on all threads, if runs take so many seconds."""
    went: list[bool] = []
    while len(went) < count:
        went_so = chosen.shared
        now, timed = chosen.next_runs(count - len(went))
        went += [went_so] * now
        if timed:
            chosen.record((together if went_so else alone) * now, now)
    return went


@pytest.mark.parametrize("together", [1.0, 3.0])
def test_both_are_tried_and_the_faster_is_used(together: float) -> None:
    chosen = Autotuner(2 * autotune._TRIAL_WORK, 10_000, 2)
    went = runs(chosen, together / 1e3, 2 / 1e3, 100)
    assert went[: 2 * autotune._TRIALS] == [True, False] * autotune._TRIALS
    assert set(went[2 * autotune._TRIALS :]) == {together < 2.0}


def test_equal_times_choose_all_threads() -> None:
    """While the workers sleep, a run on all threads is a run on one."""
    chosen = Autotuner(50_000, 10_000, 2)
    runs(chosen, 2.0e-4, 1.9e-4, 2 * autotune._TRIALS * chosen.trial_runs)
    assert chosen.trials_left == 0
    assert chosen.shared


def test_the_choice_is_measured_again_and_may_change() -> None:
    chosen = Autotuner(50_000, 10_000, 2)
    runs(chosen, 1e-4, 2e-4, 2 * autotune._TRIALS * chosen.trial_runs)
    assert chosen.shared
    assert chosen.runs_left == pytest.approx(autotune._PERIOD / 1e-4)
    went = runs(chosen, 5e-4, 2e-4, int(2 * autotune._PERIOD / 1e-4))
    assert went[-1] is False


def test_a_trial_is_short_for_any_number_of_runs() -> None:
    """A million runs in a row are not one trial on one thread."""
    chosen = Autotuner(50_000, 10_000, 2)
    assert chosen.trial_runs == autotune._TRIAL_WORK / 50_000
    assert chosen.next_runs(10**6) == (chosen.trial_runs, True)
    assert chosen.next_runs(3) == (3, True)
    went = runs(chosen, 1e-4, 3e-4, 10**4)
    assert went.count(False) <= autotune._TRIALS * chosen.trial_runs * 3


def test_after_the_trials_all_runs_are_one_launch() -> None:
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


def test_results_do_not_depend_on_the_choice() -> None:
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
