"""PyTorch, eager, with the fused Adam."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from races.race import DROPOUT, RATE, Race, run


def contestant(race: Race) -> None:
    torch.set_num_threads(race.threads)
    torch.manual_seed(race.seed)
    *hidden, last = race.weights()
    layers: list[nn.Module] = []
    for weight in hidden:
        layers += [layer(weight), nn.ReLU(), nn.Dropout(DROPOUT)]
    model = nn.Sequential(*layers, layer(last))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    x, y, x_test = map(torch.from_numpy, (race.x, race.y, race.x_test))

    def train_epoch() -> None:
        model.train()
        for rows in map(torch.from_numpy, race.batches()):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    def classify() -> np.ndarray:
        model.eval()
        with torch.inference_mode():
            return model(x_test).argmax(1).numpy()

    race.train(train_epoch, classify, lambda f: torch.save(model.state_dict(), f / "model.pt"))


def layer(weight: np.ndarray) -> nn.Linear:  # (inputs, outputs)
    """Return a layer with this weight and zero bias."""
    linear = nn.Linear(*weight.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight.T))
        linear.bias.zero_()
    return linear


if __name__ == "__main__":
    run(contestant)
