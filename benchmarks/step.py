"""A whole training step (forward, loss, backward, update) of perceptrons, beside PyTorch.

    python benchmarks/step.py                       # every workload, every number of threads
    python benchmarks/step.py --only deep --threads 2 --json step.json

Same data, same sizes, same batch. PyTorch is measured where it is installed (``pip install
torch``), NumPy written by hand for plain SGD. The share of the machine's arithmetic counts the
matrix products only.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from report import OURS, Case, main, peer

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

Step = Callable[[], object]


@dataclass(frozen=True)
class Workload:
    """A perceptron, its batch and its optimizer."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    optimizer: str = "SGD"
    batch_norm: bool = False
    dropout: float = 0.0

    def __str__(self) -> str:
        extras = f"{', BatchNorm' if self.batch_norm else ''}" + (
            f", Dropout {self.dropout}" if self.dropout else ""
        )
        return f"{'-'.join(map(str, self.sizes))}{extras}, batch {self.batch}, {self.optimizer}"

    @property
    def flops(self) -> float:
        """Of the products x W, x' g and, but for the first layer, g W'."""
        layers = [i * o for i, o in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2.0 * self.batch * (3 * sum(layers) - layers[0])

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random inputs (batch, features) and labels (batch,)."""
        generator = np.random.default_rng(0)
        x = generator.standard_normal((self.batch, self.sizes[0])).astype(np.float32)
        return x, generator.integers(0, self.sizes[-1], self.batch)

    def layers(self, library: Any) -> list[Any]:
        """The modules, from ``tinygrad_mlp.nn`` or ``torch.nn``: they have the same names."""
        layers = []
        *hidden, _ = zip(self.sizes, self.sizes[1:], strict=False)
        for inputs, outputs in hidden:
            layers.append(library.Linear(inputs, outputs))
            if self.batch_norm:
                layers.append(library.BatchNorm1d(outputs))
            layers.append(library.ReLU())
            if self.dropout:
                layers.append(library.Dropout(self.dropout))
        return [*layers, library.Linear(*self.sizes[-2:])]


WORKLOADS = [
    Workload("spiral", (2, 100, 3), 300),
    Workload("small", (784, 256, 10), 128),
    Workload("deep", (784, 512, 128, 64, 10), 128, batch_norm=True, dropout=0.5),
    Workload("wide", (1024, 2048, 2048, 1024), 256, "Adam"),
]


def ours(workload: Workload) -> Step:
    """A step of tinygrad_mlp, eager."""
    tg.manual_seed(0)
    model = nn.Sequential(*workload.layers(nn))
    optimizer = getattr(optim, workload.optimizer)(model.parameters(), lr=1e-3)
    x, y = map(tg.tensor, workload.data())

    def step() -> object:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def pytorch(workload: Workload, torch: Any) -> Step:
    """The same step in PyTorch, eager."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(*workload.layers(torch.nn))
    optimizer = getattr(torch.optim, workload.optimizer)(model.parameters(), lr=1e-3)
    x, y = map(torch.from_numpy, workload.data())

    def step() -> object:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def numpy_by_hand(workload: Workload) -> Step | None:
    """The step as a NumPy programmer writes it; only for plain SGD perceptrons."""
    if workload.batch_norm or workload.dropout or workload.optimizer != "SGD":
        return None
    generator = np.random.default_rng(0)
    pairs = list(zip(workload.sizes, workload.sizes[1:], strict=False))
    weights = [generator.standard_normal((i, o)).astype(np.float32) / i**0.5 for i, o in pairs]
    biases = [np.zeros(o, np.float32) for _, o in pairs]
    x, y = workload.data()
    rows = np.arange(len(y))

    def step() -> object:
        activations = [x]
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = activations[-1] @ w + b
            activations.append(z if k == len(weights) - 1 else np.maximum(z, 0))
        logits = activations[-1]
        g = np.exp(logits - logits.max(1, keepdims=True))
        g /= g.sum(1, keepdims=True)
        loss = -np.log(g[rows, y]).mean()
        g[rows, y] -= 1
        g /= len(y)
        for k in reversed(range(len(weights))):
            dw, db = activations[k].T @ g, g.sum(0)
            if k:
                g = (g @ weights[k].T) * (activations[k] > 0)
            weights[k] -= 1e-3 * dw
            biases[k] -= 1e-3 * db
        return loss

    return step


def candidates(workload: Workload) -> dict[str, Step]:
    """What can be measured here, by name."""
    steps: dict[str, Step] = {f"{OURS}, eager": ours(workload)}
    if torch := peer("torch"):
        steps["PyTorch"] = pytorch(workload, torch)
    if by_hand := numpy_by_hand(workload):
        steps["NumPy"] = by_hand
    return steps


def cases(given: argparse.Namespace) -> Iterator[Case]:
    """Every workload."""
    for workload in WORKLOADS:
        name = f"{workload.name}: {workload}"
        yield Case(name, functools.partial(candidates, workload), flops=workload.flops)


if __name__ == "__main__":
    main(__doc__ or "", cases)
