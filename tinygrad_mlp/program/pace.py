"""One thread or all of them: tried out, because no estimate knows what sharing costs.

What one core wrote and another reads goes through the cache that they share: from 6 to 60 GB/s on
the machines at hand, and for a small network that is more than the second core saves. The results
are the same bits either way. So a program takes turns at first, and stays with what was faster; it
looks again now and then, for the machine may have other things to do by then.
"""

from __future__ import annotations

import math

_TRIALS = 6  # runs of each kind before a choice, of which the fastest counts
_AGAIN = 0.5  # seconds of runs after which it looks again
_CLEARLY = 0.9  # one thread has to be that much faster: while the workers rest, both are alike
_LONG = 10_000_000  # nanoseconds on one thread from which sharing always pays


class Pace:
    """Whether a program runs on all threads; ``work`` is about its nanoseconds on one."""

    def __init__(self, work: float, least: float, threads: int):
        """``least``: the work below which nobody else is woken."""
        self.shared = True
        open_question = threads > 1 and least <= work < _LONG
        self.trials_left = 2 * _TRIALS if open_question else 0
        self.runs_left = 0.0 if open_question else math.inf
        self.fastest = {True: math.inf, False: math.inf}

    def settled(self, times: int) -> bool:
        """Whether the next ``times`` runs need no watching."""
        self.runs_left -= times
        return self.runs_left >= 0

    def took(self, seconds: float, times: int) -> None:
        """A watched run is over: what the next one is to be."""
        if self.trials_left == 0:  # long settled: look again
            self.trials_left, self.fastest = 2 * _TRIALS, {True: math.inf, False: math.inf}
        self.fastest[self.shared] = min(self.fastest[self.shared], seconds / times)
        self.trials_left -= 1
        self.shared = not self.shared
        self.runs_left = 0.0
        if self.trials_left == 0:
            self.shared = _CLEARLY * self.fastest[True] <= self.fastest[False]
            self.runs_left = _AGAIN / self.fastest[self.shared]
