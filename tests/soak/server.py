"""A server: threads answer requests of random sizes by eager and compiled calls of one model.

``python -m tests.soak.server`` prints the answers per second, wrong answers and used memory.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import statistics
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn

SIZES = range(1, 65)  # rows of a request
PAGE = 4096 / 2**20  # MiB


def resident() -> float:
    """Return the memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def main() -> int:
    """Serve; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--growth", type=float, default=4.0, help="MiB that are allowed")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # a program per size is what this test wants
    tg.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(256, 128), nn.GELU(), nn.Linear(128, 10), nn.Softmax(1)),
    )
    for _ in range(3):
        model(tg.randn(100, 64))  # running statistics
    model.eval()
    compiled = tg.compile(model)
    draw = np.random.default_rng(0)
    rows = [draw.standard_normal((size, 64)).astype(np.float32) for size in SIZES]
    before = tg.get_num_threads()
    tg.set_num_threads(1)
    with tg.no_grad():
        right = [model(tg.tensor(each)).numpy().tobytes() for each in rows]
    tg.set_num_threads(before)
    requests: queue.Queue[tuple[int, float] | None] = queue.Queue(maxsize=100)
    answered, wrong, failures = [0] * options.threads, [0], list[str]()
    delays: list[list[float]] = [[] for _ in range(options.threads)]

    def serve(number: int) -> None:
        turn = random.Random(number)
        while (request := requests.get()) is not None:
            index, sent = request
            call = compiled if turn.random() < 0.5 else model
            try:
                with tg.no_grad():
                    answer = call(tg.tensor(rows[index])).numpy().tobytes()
            except BaseException as error:
                failures.append(repr(error))
                continue
            wrong[0] += answer != right[index]
            answered[number] += 1
            if len(delays[number]) < 5000:
                delays[number].append(time.monotonic() - sent)

    servers = [threading.Thread(target=serve, args=(k,)) for k in range(options.threads)]
    for server in servers:
        server.start()
    chance, begun, memory = random.Random(0), time.monotonic(), list[tuple[float, float]]()
    while (now := time.monotonic() - begun) < options.seconds and not failures:
        for _ in range(chance.randint(1, 40)):
            requests.put((chance.randrange(len(rows)), time.monotonic()))
        time.sleep(chance.uniform(0, 0.002) if chance.random() < 0.99 else 0.2)  # workers sleep
        if not memory or now - memory[-1][0] > options.seconds / 200:
            memory.append((now, resident()))
    for _ in servers:
        requests.put(None)
    for server in servers:
        server.join()
    settled = [used for when, used in memory if when > options.seconds / 5]
    tenth = max(1, len(settled) // 8)
    first, last = statistics.median(settled[:tenth]), statistics.median(settled[-tenth:])
    milliseconds = sorted(1e3 * each for part in delays for each in part)
    report = {
        "answers": sum(answered),
        "per second": round(sum(answered) / options.seconds),
        "ms, median": round(statistics.median(milliseconds), 2),
        "ms, 99 %": round(milliseconds[int(len(milliseconds) * 0.99)], 2),
        "wrong": wrong[0],
        "captures": compiled.captures,
        "MiB after a fifth of the time": round(first, 1),
        "MiB at the end": round(last, 1),
        "failures": failures,
    }
    print(json.dumps(report))
    return 1 if wrong[0] or failures or last - first > options.growth else 0


if __name__ == "__main__":
    sys.exit(main())
