"""Sixty random networks have the same bits on 1, 2, 3 and 8 threads, however they are trained.

They are other networks than the forty of ``tests/test_golden_bits.py``, and nothing is recorded:
each is trained by eager and by compiled steps on each number of threads, which must agree, and by
`tg.fit`: eager, compiled, and resumed from a checkpoint after the second of five epochs. Kernels
use all threads, however small.

    TINYGRAD_MLP_SOAK=1 python -m pytest tests/soak/test_determinism.py -m soak
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import drawn_networks as drawn
from tests.kernels.conftest import use_threads  # noqa: F401  # a fixture

pytestmark = pytest.mark.soak

FIRST, COUNT = 1000, int(os.environ.get("TINYGRAD_MLP_SOAK_NETWORKS", 60))
THREADS = (1, 2, 3, 8)


@pytest.fixture(autouse=True)
def _generator_is_left_as_it_was() -> Iterator[None]:
    before = drawn.tg.get_rng_state()
    yield
    drawn.tg.set_rng_state(before)


def ways(plan: drawn.Plan, checkpoint: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Return the ways to train a network; those of one name must give the same hash."""
    yield "steps", lambda: drawn.train(plan, compiled=False)
    yield "steps", lambda: drawn.train(plan, compiled=True)
    yield "fit", lambda: drawn.fit(plan, compiled=False)
    yield "fit", lambda: drawn.fit(plan, compiled=True)
    yield "fit", lambda: drawn.fit(plan, compiled=True, resumed=checkpoint)


def test_sixty_networks(
    use_threads: Callable[[int], None],  # noqa: F811
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    begun, trained, different = time.monotonic(), 0, []
    for seed in range(FIRST, FIRST + COUNT):
        plan, found = drawn.draw(seed), {"steps": set(), "fit": set()}
        for threads in THREADS:
            use_threads(threads)
            for name, train in ways(plan, tmp_path / f"{seed}.safetensors"):
                found[name].add(train())
                trained += 1
        different += [(seed, name) for name, hashes in found.items() if len(hashes) > 1]
    figure(
        f"determinism: {COUNT} networks, {trained} trainings in {time.monotonic() - begun:.0f} s "
        f"on {', '.join(map(str, THREADS))} threads, eager, compiled, fit and resumed; "
        f"{len(different)} differ"
    )
    assert not different
