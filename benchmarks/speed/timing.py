"""Timing of several candidates: turns A B A B, medians over all turns, compilation apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Idle seconds before a turn. A peer's threads may spin after its last call (LLVM's OpenMP: 200 ms,
# KMP_BLOCKTIME) and would slow down the next candidate.
_PAUSE = 0.25


@dataclass(frozen=True)
class Timing:
    """Seconds per call: the median over all turns, the 10th and 90th percentile, the first call."""

    median: float
    low: float
    high: float
    first_call: float


def interleaved(
    candidates: dict[str, Callable[[], object]], rounds: int = 7, seconds: float = 0.3
) -> dict[str, Timing]:
    """Time each candidate in ``rounds`` turns of about ``seconds``, one after another.

    The first call of each candidate (compilation, caches) is timed apart. Each turn begins after a
    pause. Its first tenth is not counted: caches still hold what the previous candidate used.
    """
    first_calls: dict[str, float] = {}
    for name, call in candidates.items():
        start = time.perf_counter()
        call()
        first_calls[name] = time.perf_counter() - start
        for _ in range(3):
            call()
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            if len(candidates) > 1:
                time.sleep(_PAUSE)
            samples[name] += _turn(call, seconds)
    return {
        name: Timing(*np.quantile(times, [0.5, 0.1, 0.9]).tolist(), first_call=first_calls[name])
        for name, times in samples.items()
    }


def _turn(call: Callable[[], object], seconds: float) -> list[float]:
    """Return the times of the calls of one turn, without its first tenth."""
    times = []
    start = now = time.perf_counter()
    while now - start < seconds or len(times) < 3:
        call()
        after = time.perf_counter()
        if now - start >= seconds / 10:
            times.append(after - now)
        now = after
    return times
