"""tinygrad_mlp, compiled: one program for the step, one for the test set."""

from __future__ import annotations

import numpy as np

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from races.race import DROPOUT, RATE, Classify, Epoch, Race, run
from tinygrad_mlp import nn, optim


def contestant(race: Race) -> tuple[Epoch, Classify]:
    tg.set_num_threads(race.threads)
    tg.manual_seed(race.seed)
    inputs, *hidden, outputs = race.sizes
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.ReLU(), nn.Dropout(DROPOUT)]
        inputs = size
    model = nn.Sequential(*layers, nn.Linear(inputs, outputs))
    optimizer = optim.Adam(model.parameters(), lr=RATE)

    @tg.compile
    def train_step(x: tg.Tensor, y: tg.Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    infer = tg.compile(model)

    def epoch() -> None:
        model.train()
        for rows in race.batches():
            train_step(race.x[rows], race.y[rows])

    def classify() -> np.ndarray:
        model.eval()
        with tg.no_grad():
            return infer(race.x_test).numpy().argmax(1)

    return epoch, classify


if __name__ == "__main__":
    run(contestant)
