"""Fair timing: candidates in turn, A B A B, medians over rounds, compile time apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Idle seconds before a turn. A peer's threads may go on spinning after its last call: those of
# LLVM's OpenMP for 200 ms (KMP_BLOCKTIME). The next candidate is to find its cores free.
_SETTLE = 0.25


@dataclass(frozen=True)
class Timing:
    """Seconds per call: the median of all rounds, and its spread (the 10th and 90th percentile)."""

    median: float
    low: float
    high: float
    first_call: float


def interleaved(
    candidates: dict[str, Callable[[], object]], rounds: int = 7, seconds: float = 0.3
) -> dict[str, Timing]:
    """Time each candidate in ``rounds`` turns of about ``seconds``, one after another.

    The first call of each (compilation, caches) is timed apart. A turn begins after a rest, and its
    first tenth is not counted: it pays for what the candidate before left behind.
    """
    first: dict[str, float] = {}
    for name, call in candidates.items():
        start = time.perf_counter()
        call()
        first[name] = time.perf_counter() - start
        for _ in range(3):
            call()
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            if len(candidates) > 1:
                time.sleep(_SETTLE)
            samples[name] += _turn(call, seconds)
    return {
        name: Timing(*np.quantile(times, [0.5, 0.1, 0.9]).tolist(), first_call=first[name])
        for name, times in samples.items()
    }


def _turn(call: Callable[[], object], seconds: float) -> list[float]:
    """The times of the calls made in one turn, without the first tenth of it."""
    times = []
    begin = now = time.perf_counter()
    while now - begin < seconds or len(times) < 3:
        call()
        after = time.perf_counter()
        if now - begin >= seconds / 10:
            times.append(after - now)
        now = after
    return times
