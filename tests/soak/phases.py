"""A training goes on while its processors change, or while other processes want them too.

``python -m tests.soak.phases affinity`` (or ``neighbours``) prints the time of a step in each
phase, eager and compiled, and the phases whose parameters differ from those of one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

Phase = Callable[[], AbstractContextManager[object]]
CPUS = sorted(os.sched_getaffinity(0))[:2]


class Training:
    """A training of a network whose steps take some hundred microseconds."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        self.x = tg.tensor(draw.standard_normal((128, 784)).astype(np.float32))
        self.y = tg.tensor(draw.integers(0, 10, 128))
        tg.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
        self.optimizer = optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.compiled = tg.compile(self.step)

    def step(self, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        """Train on one batch."""
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, steps: int) -> tuple[dict[str, float], list[bytes]]:
        """Return the microseconds per step (median, eager and compiled), and the parameters."""
        medians = {}
        for how, call in (("eager", self.step), ("compiled", self.compiled)):
            seconds = []
            for _ in range(steps):
                begun = time.perf_counter()
                call(self.x, self.y)
                seconds.append(time.perf_counter() - begun)
            medians[how] = round(1e6 * statistics.median(seconds), 1)
        return medians, [p.numpy().tobytes() for p in self.model.state_dict().values()]


def tasks() -> list[int]:
    """Return the numbers of all threads of this process, the caller's first."""
    main = os.getpid()
    return [main, *(int(p.name) for p in Path("/proc/self/task").iterdir() if int(p.name) != main)]


def pin(task: int, cpus: list[int]) -> None:
    """Let a thread run on these processors only."""
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.sched_setaffinity(task, cpus)


@contextlib.contextmanager
def pinned(caller: list[int], others: list[int]) -> Iterator[None]:
    """Let the caller and the other threads run on these processors during the block."""
    for number, task in enumerate(tasks()):
        pin(task, others if number else caller)
    try:
        yield
    finally:
        for task in tasks():
            pin(task, CPUS)


@contextlib.contextmanager
def moving() -> Iterator[None]:
    """Change the processors of every thread at random moments during the block."""
    ended = threading.Event()

    def move() -> None:
        draw = random.Random(0)
        while not ended.wait(draw.uniform(0.0005, 0.02)):
            for task in tasks():
                pin(task, draw.choice([CPUS[:1], CPUS[1:], CPUS]))

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for task in tasks():
            pin(task, CPUS)


@contextlib.contextmanager
def neighbours(number: int = 2) -> Iterator[None]:
    """Run other processes that never wait."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        time.sleep(0.3)  # they have started
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


PHASES: dict[str, dict[str, Phase]] = {
    "affinity": {
        "two processors": nullcontext,
        "caller on one": lambda: pinned(CPUS[:1], CPUS),
        "all on one": lambda: pinned(CPUS[:1], CPUS[:1]),
        "each on one": lambda: pinned(CPUS[:1], CPUS[1:]),
        "workers on one": lambda: pinned(CPUS, CPUS[:1]),
        "changing": moving,
        "two again": nullcontext,
    },
    "neighbours": {"alone": nullcontext, "two neighbours": neighbours, "alone again": nullcontext},
}


def main() -> int:
    """Train through all phases; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phases", choices=PHASES)
    parser.add_argument("--steps", type=int, default=5000, help="of each phase, eager and compiled")
    options = parser.parse_args()
    phases = PHASES[options.phases]
    tg.set_num_threads(1)
    training = Training()
    wanted = [training.run(options.steps)[1] for _ in phases]
    tg.set_num_threads(2)
    training, found, wrong = Training(), {}, list[str]()
    for (name, phase), right in zip(phases.items(), wanted, strict=True):
        with phase():
            found[name], parameters = training.run(options.steps)
        if parameters != right:
            wrong.append(name)
    print(json.dumps({"microseconds": found, "wrong": wrong}))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
