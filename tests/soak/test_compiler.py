"""Long runs of compiled and eager steps: memory and time per call stay flat. Prints the figures."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc"),
]

PARTS = 10
GROWTH = 4.0  # MB that a process may grow by after its first part
SLOWER = 1.5  # how much slower the last parts may be than the first


def resident() -> float:
    """Return the memory of this process in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * 4096 / 1e6


def run(what: str, calls: int, call: Callable[[], object]) -> None:
    """Make the calls in parts; memory and time of the later parts are those of the first ones.

    The time is that of the processor in this thread: neighbours do not count.
    """
    memory, seconds = [], []
    for _ in range(PARTS):
        start = time.thread_time()
        for _ in range(calls // PARTS):
            call()
        seconds.append((time.thread_time() - start) / (calls // PARTS))
        memory.append(resident())
    growth = max(memory[1:]) - memory[0]
    early, late = statistics.median(seconds[:3]), statistics.median(seconds[-3:])
    print(
        f"\n{what}: {calls} calls, {memory[0]:.1f} MB after a tenth of them, {growth:+.2f} MB "
        f"since; {early * 1e6:.1f} us of CPU per call at first, {late * 1e6:.1f} at last"
    )
    assert growth < GROWTH
    assert late < SLOWER * early


def training() -> Callable[[tg.Tensor, tg.Tensor], tg.Tensor]:
    """Return a step of a small network, as in a loop of the user's."""
    tg.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3)
    )
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def batches() -> Callable[[], tuple[tg.Tensor, tg.Tensor]]:
    generator = np.random.default_rng(0)
    made = [
        (
            tg.tensor(generator.standard_normal((16, 8)).astype(np.float32)),
            tg.tensor(generator.integers(0, 3, 16)),
        )
        for _ in range(7)
    ]
    return itertools.cycle(made).__next__


@pytest.mark.parametrize(("mode", "calls"), [("compiled", 1_000_000), ("eager", 200_000)])
def test_steps(mode: str, calls: int) -> None:
    step, batch = training(), batches()
    function = tg.compile(step) if mode == "compiled" else step
    losses = []

    def call() -> None:
        losses[:] = [*losses[-9:], function(*batch())]

    run(f"{mode} steps", calls, call)
    assert all(np.isfinite(loss.item()) for loss in losses)


def test_compile_calls() -> None:
    """Each makes a network, an optimizer and a program, runs it, and drops them."""
    batch = batches()

    def call() -> None:
        step = tg.compile(training())
        for _ in range(3):
            step(*batch())
        assert step.captures == 1

    run("compile()", 5_000, call)


def test_new_shapes_and_numbers_of_one_function() -> None:
    """The programs that are dropped leave nothing behind."""
    step, numbers = tg.compile(lambda x, k: (x * k).exp().sum()), itertools.count()

    def call() -> None:
        k = next(numbers)
        step(tg.ones(1 + k % 50), k)

    with pytest.warns(UserWarning, match="was captured 8 times"):
        run("new programs of one function", 5_000, call)
    assert len(step.specializations) <= 32


def test_steps_that_change_python_values() -> None:
    step, batch, count = training(), batches(), 0

    @tg.compile
    def counted(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        nonlocal count
        count += 1
        return step(x, y)

    with pytest.warns(UserWarning, match="changes count"):
        run("steps that run in Python", 20_000, lambda: counted(*batch()))
    assert count == 20_000
