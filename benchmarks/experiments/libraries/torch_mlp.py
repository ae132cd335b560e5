"""PyTorch, eager, in a loop such as its tutorials have."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
from torch import nn

from libraries import Network, load


def main(network: Network) -> dict[str, object]:
    torch.set_num_threads(network.threads)
    torch.manual_seed(network.seed)
    x, y, x_test, y_test = (torch.from_numpy(np.ascontiguousarray(a)) for a in load())
    y, y_test = y.long(), y_test.long()
    layers: list[nn.Module] = []
    inputs = x.shape[1]
    for width, dropout in zip(network.hidden, network.dropout, strict=True):
        # Keras's momentum 0.99 is 0.01 here.
        layers += [linear(inputs, width), nn.ReLU(), nn.BatchNorm1d(width, eps=1e-3, momentum=0.01)]
        layers += [nn.Dropout(dropout)] * (dropout > 0)
        inputs = width
    model = nn.Sequential(*layers, linear(inputs, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=network.rate)
    criterion = nn.CrossEntropyLoss()
    seconds, losses, val_losses, accuracies = [], [], [], []
    for _ in range(network.epochs):
        model.train()
        start, total = time.perf_counter(), 0.0
        for rows in torch.randperm(len(x)).split(network.batch):
            optimizer.zero_grad()
            loss = criterion(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        seconds.append(time.perf_counter() - start)
        model.eval()
        with torch.no_grad():
            outputs = model(x_test)
        losses.append(float(total) / len(x))
        val_losses.append(criterion(outputs, y_test).item())
        accuracies.append((outputs.argmax(1) == y_test).double().mean().item())
    count = sum(p.numel() for p in model.parameters())
    statistics = sum(b.numel() for b in model.buffers() if b.is_floating_point())
    return dict(
        parameters=count + statistics,
        trainable=count,
        accuracy=accuracies,
        loss=losses,
        val_loss=val_losses,
        samples_per_second=len(x) / float(np.median(seconds[1:] or seconds)),
    )


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a layer with Keras's initial values: Xavier uniform weights and zero biases."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(main(Network(**given))))
