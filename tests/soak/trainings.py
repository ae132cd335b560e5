"""Trainings in many threads of one process, compared with the same trainings in one thread.

``python -m tests.soak.trainings`` runs them and prints what differs.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
import warnings

import numpy as np

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

HOWS = ("eager", "compiled", "fit")
ROWS, BATCH, EPOCHS = 300, 50, 8


def network(draw: np.random.Generator) -> nn.Sequential:
    """Return a network whose weights do not depend on the generator that all threads share."""
    model = nn.Sequential(
        nn.Linear(30, 90), nn.BatchNorm1d(90), nn.ReLU(), nn.Linear(90, 70), nn.LayerNorm(70)
    )
    model = nn.Sequential(model, nn.GELU(), nn.Linear(70, 10))
    with tg.no_grad():
        for parameter in model.parameters():
            values = draw.standard_normal(parameter.shape) * 0.2
            parameter.copy_(tg.tensor(values.astype(np.float32)))
    return model


def train(how: str, seed: int) -> list[bytes]:
    """Train a network; return its parameters and buffers. They do not depend on ``how``."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((ROWS, 30)).astype(np.float32)
    y = draw.integers(0, 10, ROWS)
    model = network(draw)
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)

    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    if how == "fit":
        options = dict(epochs=EPOCHS, batch_size=BATCH, shuffle=False, progress=False)
        tg.fit(model, optimizer, (x, y), **options)
    else:
        call = tg.compile(step) if how == "compiled" else step
        for _ in range(EPOCHS):
            for k in range(0, ROWS, BATCH):
                call(tg.tensor(x[k : k + BATCH]), tg.tensor(y[k : k + BATCH]))
    return [value.numpy().tobytes() for value in model.state_dict().values()]


def main() -> int:
    """Run the trainings; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--trainings", type=int, default=72)
    parser.add_argument("--restless", action="store_true", help="change the number of workers")
    options = parser.parse_args()
    warnings.simplefilter("error")
    if options.restless:  # each change captures anew, which warns
        warnings.filterwarnings("ignore", "step was captured")
    jobs = [(HOWS[k % 3], k // 3 % 8) for k in range(options.trainings)]
    random.Random(0).shuffle(jobs)
    ended, wrong = threading.Event(), list[str]()
    results: list[tuple[str, int, list[bytes]]] = []
    left = iter(jobs)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                job = next(left, None)
            if job is None:
                return
            try:
                results.append((*job, train(*job)))
            except BaseException as error:
                wrong.append(f"{job}: {error!r}")
                raise

    def change() -> None:
        draw = random.Random(1)
        while not ended.wait(draw.uniform(0, 0.05)):
            tg.set_num_threads(draw.randint(1, 4))

    begun = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(options.threads)]
    changing = [threading.Thread(target=change)] * options.restless
    for thread in [*changing, *workers]:
        thread.start()
    for thread in workers:
        thread.join()
    ended.set()
    for thread in changing:
        thread.join()
    seconds = time.monotonic() - begun
    tg.set_num_threads(1)
    alone = {seed: train("eager", seed) for seed in {seed for _, seed in jobs}}
    wrong += [f"{how} {seed} differs" for how, seed, found in results if found != alone[seed]]
    print(f"{len(results)} trainings in {options.threads} threads, {seconds:.1f} s; {wrong}")
    return 1 if wrong or len(results) != len(jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
