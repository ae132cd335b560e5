"""One thread or all of them: tried out, because no estimate knows what sharing costs.

What one core wrote and another reads goes through the cache that they share: from 6 to 60 GB/s on
the machines at hand, and for a small network that is more than the second core saves. The results
are the same bits either way. So a program takes turns at first, and stays with what was faster; it
looks again now and then, for the machine may have other things to do by then.
"""

from __future__ import annotations

import math

_TRIALS = 6  # trials of each kind before a choice, of which the fastest counts
_MOMENT = 1_000_000  # nanoseconds of work that make a trial, or one run
_AGAIN = 0.5  # seconds of runs after which it looks again
_CLEARLY = 0.9  # one thread has to be that much faster: while the workers rest, both are alike
_LONG = 10_000_000  # nanoseconds on one thread from which sharing always pays


class Pace:
    """Whether a program runs on all threads; ``work`` is about its nanoseconds on one."""

    def __init__(self, work: float, least: float, threads: int):
        """``least``: the work below which nobody else is woken."""
        self.shared = True
        self.trial = max(1, int(_MOMENT / max(work, 1.0)))  # runs in a trial
        open_question = threads > 1 and least <= work < _LONG
        self.trials_left = 2 * _TRIALS if open_question else 0
        self.runs_left = 0.0 if open_question else math.inf
        self.fastest = {True: math.inf, False: math.inf}

    def next(self, times: int) -> tuple[int, bool]:
        """Of the next ``times`` runs, how many to do now, and whether to say how long they took."""
        if self.trials_left == 0:
            if self.runs_left >= 1:
                now = int(min(times, self.runs_left))
                self.runs_left -= now
                return now, False
            self.trials_left, self.fastest = 2 * _TRIALS, {True: math.inf, False: math.inf}
        return min(times, self.trial), True

    def took(self, seconds: float, times: int) -> None:
        """A trial is over: what the next one is to be."""
        self.fastest[self.shared] = min(self.fastest[self.shared], seconds / times)
        self.trials_left -= 1
        self.shared = not self.shared
        if self.trials_left == 0:
            self.shared = _CLEARLY * self.fastest[True] <= self.fastest[False]
            self.runs_left = max(1.0, _AGAIN / self.fastest[self.shared])
