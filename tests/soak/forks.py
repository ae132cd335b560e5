"""Fork a process while its threads draw, call and compile: each child must compute and end.

``python -m tests.soak.forks`` prints how many children failed or did not end.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

LONGEST = 60.0  # seconds that a child may take
HUNG = 3  # children that hung, after which no more are forked

model = nn.Sequential(nn.Linear(20, 200), nn.Tanh(), nn.Dropout(0.5), nn.Linear(200, 4))
predict = tg.compile(nn.Sequential(nn.Linear(20, 200), nn.Tanh(), nn.Linear(200, 4)))
x = tg.tensor(np.random.default_rng(0).standard_normal((500, 20)).astype(np.float32))
labels = tg.tensor(np.random.default_rng(0).integers(0, 4, 500))
UNARY = ("sin", "cos", "tanh", "exp", "neg", "abs", "relu", "sigmoid", "square", "log1p")
chains = itertools.permutations(UNARY, 4)  # of each the fused kernel is new


def draw_numbers() -> None:
    """Draw from the generator that all threads share."""
    tg.rand(1000), tg.randn(1000), tg.randint(0, 9, (1000,)), F.dropout(x, 0.5)


def call_compiled() -> None:
    """Call one compiled function, which other threads call too."""
    with tg.no_grad():
        predict(x)


def capture() -> None:
    """Capture a training step and run it."""
    optimizer = optim.SGD(model.parameters(), lr=0.0)

    @tg.compile
    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step(x, labels)


def compile_kernel() -> None:
    """Compile a fused kernel that has not been compiled before."""
    names = next(chains)

    @tg.compile
    def chain(x: tg.Tensor) -> tg.Tensor:
        for name in names:
            x = getattr(x, name)()
        return x

    chain(x)
    chain(x)


def fit() -> None:
    """Train a network for two epochs."""
    own = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4))
    optimizer = optim.Adam(own.parameters())
    tg.fit(own, optimizer, (x, labels), epochs=2, batch_size=100, progress=False)


LOADS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (draw_numbers, call_compiled, capture, compile_kernel, fit)
}


def child(expected: list[bytes]) -> int:
    """Return 0 if a forked child gets the same results as its parent did."""
    faulthandler.dump_traceback_later(LONGEST * 0.9)
    try:
        same = results() == expected
        for load in LOADS.values():
            load()
    except BaseException:
        traceback.print_exc()
        return 2
    return 0 if same else 1


def results() -> list[bytes]:
    """Return the results of a compiled call, a product on all threads, and draws."""
    with tg.no_grad():
        found = [predict(x), x @ x.T]
    tg.manual_seed(1)
    found += [tg.rand(5000), F.dropout(x, 0.5)]
    return [value.numpy().tobytes() for value in found]


def wait(pid: int) -> str:
    """Wait for a child; return how it ended."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return {0: "right", 1: "wrong", 2: "raised"}.get(code, f"exit code {code}")
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


def main() -> int:
    """Fork; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--forks", type=int, default=200)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Python 3.12 warns of a fork with threads
    expected = results()
    for load in LOADS.values():
        load()
    ended, failures = threading.Event(), list[str]()
    rounds = Counter[str]()

    def work(name: str) -> None:
        while not ended.is_set():
            try:
                LOADS[name]()
                rounds[name] += 1
            except BaseException:
                failures.append(f"{name}: {traceback.format_exc()}")
                return

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in LOADS]
    for thread in threads:
        thread.start()
    draw, outcomes = random.Random(0), Counter[str]()
    for _ in range(options.forks):
        time.sleep(draw.uniform(0, 0.1))
        pid = os.fork()
        if pid == 0:
            os._exit(child(expected))
        outcomes[wait(pid)] += 1
        if outcomes["hung"] == HUNG:
            break
    ended.set()
    for thread in threads:
        thread.join(LONGEST)
    stuck = [name for name, thread in zip(LOADS, threads, strict=True) if thread.is_alive()]
    print(f"{dict(outcomes)}; the parent's rounds: {dict(rounds)}; stuck: {stuck}", *failures)
    return 0 if outcomes["right"] == options.forks and not (stuck or failures) else 1


if __name__ == "__main__":
    sys.exit(main())
