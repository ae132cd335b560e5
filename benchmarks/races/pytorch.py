"""PyTorch, eager, with its fused Adam."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from races.race import DROPOUT, RATE, Classify, Epoch, Race, run


def contestant(race: Race) -> tuple[Epoch, Classify]:
    torch.set_num_threads(race.threads)
    torch.manual_seed(race.seed)
    inputs, *hidden, outputs = race.sizes
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.ReLU(), nn.Dropout(DROPOUT)]
        inputs = size
    model = nn.Sequential(*layers, nn.Linear(inputs, outputs))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    x, y, x_test = map(torch.from_numpy, (race.x, race.y, race.x_test))

    def epoch() -> None:
        model.train()
        for rows in map(torch.from_numpy, race.batches()):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    def classify() -> np.ndarray:
        model.eval()
        with torch.inference_mode():
            return model(x_test).argmax(1).numpy()

    return epoch, classify


if __name__ == "__main__":
    run(contestant)
