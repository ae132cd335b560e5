"""Fixtures of the tests of kernels: a number of threads, used by every kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.kernels.runtime import threads


@pytest.fixture
def use_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Set the number of threads for one test, in which every kernel uses all threads.

    Nor do neighbours on the machine matter, whose long waits would keep kernels on one thread.
    """
    before = tg.get_num_threads()
    monkeypatch.setattr(threads, "SMALL", 0)
    monkeypatch.setattr(threads, "_BACK_OFF", 0)
    monkeypatch.setattr(threads, "most_threads", lambda: 64)  # on a small machine too
    yield tg.set_num_threads
    tg.set_num_threads(before)
