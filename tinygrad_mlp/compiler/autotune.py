"""Autotuning: measure whether a program runs faster on one thread or on all of them.

The cost of sharing work among threads cannot be estimated. Data that one core wrote and another
reads pass through their shared cache: at 6 to 60 GB/s on the machines measured, which for a small
network takes longer than the second core saves. The results are the same, bit for bit. So a program
alternates between both at first, and stays with the faster one. It measures again from time to
time, as the load of the machine changes.
"""

from __future__ import annotations

import math

_TRIALS = 6  # trials of each before a choice, which compares the fastest of each
_TRIAL_WORK = 1_000_000  # nanoseconds of work in a trial, or one run
_PERIOD = 0.5  # seconds of runs between two choices
_MARGIN = 0.9  # one thread must be that much faster: while workers sleep, both are the same
_LONG = 10_000_000  # nanoseconds on one thread from which sharing always pays


class Autotuner:
    """Chooses whether a program runs on all threads (``shared``)."""

    def __init__(self, work: float, least: float, threads: int):
        """``work``: estimated nanoseconds on one thread; below ``least`` it stays on one thread."""
        self.shared = True
        self.trial_runs = max(1, int(_TRIAL_WORK / max(work, 1.0)))
        measured = threads > 1 and least <= work < _LONG
        self.trials_left = 2 * _TRIALS if measured else 0
        self.runs_left = 0.0 if measured else math.inf
        self.fastest = {True: math.inf, False: math.inf}

    def next_runs(self, times: int) -> tuple[int, bool]:
        """Return how many of the next ``times`` runs to do now, and whether to time them."""
        if self.trials_left == 0:
            if self.runs_left >= 1:
                now = int(min(times, self.runs_left))
                self.runs_left -= now
                return now, False
            self.trials_left, self.fastest = 2 * _TRIALS, {True: math.inf, False: math.inf}
        return min(times, self.trial_runs), True

    def record(self, seconds: float, times: int) -> None:
        """Take the time of a trial of ``times`` runs."""
        self.fastest[self.shared] = min(self.fastest[self.shared], seconds / times)
        self.trials_left -= 1
        self.shared = not self.shared
        if self.trials_left == 0:
            self.shared = _MARGIN * self.fastest[True] <= self.fastest[False]
            self.runs_left = max(1.0, _PERIOD / self.fastest[self.shared])
