"""A whole training step (forward, loss, backward, update) of perceptrons, beside PyTorch.

    python benchmarks/step.py                       # every workload, all threads
    python benchmarks/step.py --workload deep --threads 2 --json step.json

Same data, same sizes, same batch; medians of turns A B A B in one process. PyTorch is measured
where it is installed (``pip install torch``), NumPy written by hand always.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import Timing, interleaved

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


def ours(workload: Workload, threads: int) -> Step:
    """A step of tinygrad_mlp, eager."""
    tg.set_num_threads(threads)
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


def pytorch(workload: Workload, threads: int) -> Step:
    """The same step in PyTorch, eager."""
    import torch

    torch.set_num_threads(threads)
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


def candidates(workload: Workload, threads: int) -> dict[str, Step]:
    """What can be measured here, by name."""
    steps: dict[str, Step | None] = {"tinygrad_mlp eager": ours(workload, threads)}
    try:
        steps["PyTorch eager"] = pytorch(workload, threads)
    except ImportError:
        print("PyTorch is not installed: pip install torch", file=sys.stderr)
    steps["NumPy by hand"] = numpy_by_hand(workload)
    return {name: step for name, step in steps.items() if step is not None}


def table(workload: Workload, threads: int, results: dict[str, Timing]) -> Table:
    """The results as a table: time, spread, and how much faster we are."""
    title = f"{workload}; {threads} thread{'s' if threads > 1 else ''}"
    columns = Table("", "median", "10 % to 90 %", "first call", "ours is faster by", title=title)
    best = results["tinygrad_mlp eager"].median
    for name, t in results.items():
        columns.add_row(
            name, f"{t.median * 1e6:,.0f} us", f"{t.low * 1e6:,.0f} to {t.high * 1e6:,.0f} us",
            f"{t.first_call * 1e3:,.1f} ms", f"{t.median / best:.2f}x",
        )  # fmt: skip
    return columns


def main() -> None:
    """Parse, measure, print."""
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workload", choices=names, action="append", help="default: all")
    parser.add_argument("--threads", type=int, default=tg.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each candidate in a round")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    console = Console(width=max(Console().width, 100))
    console.print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}"
    )
    console.print("Medians of turns A B A B in one process; the first call is not counted.")
    figures: dict[str, Any] = {}
    for workload in WORKLOADS:
        if arguments.workload and workload.name not in arguments.workload:
            continue
        steps = candidates(workload, arguments.threads)
        results = interleaved(steps, arguments.rounds, arguments.seconds)
        console.print(table(workload, arguments.threads, results))
        figures[workload.name] = {name: vars(timing) for name, timing in results.items()}
    if arguments.json:
        arguments.json.write_text(json.dumps({"threads": arguments.threads, "steps": figures}))


if __name__ == "__main__":
    main()
