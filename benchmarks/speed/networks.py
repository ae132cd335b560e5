"""Randomly drawn networks, compiled by us and by JAX: a ratio for each, and their geometric mean.

    python benchmarks/speed/networks.py                         # 30 networks, seed 0
    python benchmarks/speed/networks.py --seed 7 --count 10 --threads 2 --json networks.json

The distribution. Log-uniform: the number of linear layers, 1 to 50; the width of the hidden layers,
2 to 2048; inputs and outputs, 2 to 2048 each; the batch, 1 to 10,000. Uniform: the activation, of
eight; normalisation, none twice as likely as BatchNorm1d and as LayerNorm; dropout, none or 0.2 or
0.5; the loss, of three; the optimizer, of five. A network is drawn again if the products of its
step have more than ``--flops`` operations, or if BatchNorm1d meets a batch of one row.
``--depth uniform`` draws the number of layers from a uniform distribution: most networks are then
deep.

Both run the whole step on the same data from the same first weights. JAX runs it in one `jit` with
parameters and state donated.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from peers import jax, ours
from report import OURS, Case, import_peer, main
from workload import LOSSES, OPTIMIZERS, Workload

ACTIVATIONS = ("ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Tanh", "Sigmoid", "Softplus")
NORMS = ("", "", "BatchNorm1d", "LayerNorm")
DROPOUT_RATES = (0.0, 0.2, 0.5)
LARGEST = {"depth": 50, "width": 2048, "batch": 10_000}


def networks(args: argparse.Namespace) -> Iterator[Workload]:
    """Yield the first ``args.count`` draws that are allowed."""
    generator = np.random.default_rng(args.seed)
    accepted = 0
    while accepted < args.count:
        workload = draw(generator, f"{accepted:02d}", args.depth)
        undefined = workload.norm == "BatchNorm1d" and workload.batch == 1
        if workload.flops <= args.flops and not (undefined and len(workload.sizes) > 2):
            yield workload
            accepted += 1


def draw(generator: np.random.Generator, name: str, depth: str = "log-uniform") -> Workload:
    """Draw one network."""
    layers = log_uniform(generator, 1, LARGEST["depth"])
    if depth == "uniform":
        layers = int(generator.integers(1, LARGEST["depth"] + 1))
    inputs, width, outputs = (log_uniform(generator, 2, LARGEST["width"]) for _ in range(3))
    batch = log_uniform(generator, 1, LARGEST["batch"])
    activation, norm, rate, loss, optimizer = (
        choices[generator.integers(len(choices))]
        for choices in (ACTIVATIONS, NORMS, DROPOUT_RATES, tuple(LOSSES), tuple(OPTIMIZERS))
    )
    sizes = (inputs, *[width] * (layers - 1), outputs)
    return Workload(name, sizes, batch, optimizer, activation, norm, rate, loss)


def log_uniform(generator: np.random.Generator, low: int, high: int) -> int:
    """Draw an integer from low to high, with a probability that falls as 1 / integer."""
    return min(high, math.floor(math.exp(generator.uniform(math.log(low), math.log(high + 1)))))


def candidates(workload: Workload, library: Any) -> dict[str, Callable[[], object]]:
    """Return our step and, where JAX is installed, JAX's."""
    steps = {f"{OURS}, compiled": ours.step(workload, compiled=True)}
    return steps | ({"JAX": jax.step(workload, library)} if library else {})


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Yield a case for each network."""
    library = import_peer("jax")
    if library is None:
        print("JAX is not installed: nothing to compare with", file=sys.stderr)
    for workload in networks(args):
        make = functools.partial(candidates, workload, library)
        name = f"{workload.name}: {workload}"
        yield Case(name, make, workload.flops, workload.bytes, level=workload.level)


def summarize(console: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Print JAX's time over ours: geometric mean, worst ratio, number of ratios below 1."""
    ratios = {
        row["name"]: row["seconds"]["JAX"]["median"] / row["seconds"][f"{OURS}, compiled"]["median"]
        for row in rows
        if "JAX" in row["seconds"]
    }
    if not ratios:
        return {}
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    worst = min(ratios, key=lambda name: ratios[name])
    below = sum(ratio < 1 for ratio in ratios.values())
    console.print(
        f"JAX / ours over {len(ratios)} networks: geometric mean {mean:.2f}x, {below} below 1, "
        f"worst {ratios[worst]:.2f}x ({worst})\n"
    )
    return {"geometric mean": mean, "below 1": below, "worst": ratios[worst], "of": worst}


if __name__ == "__main__":
    main(
        __doc__ or "",
        cases,
        summarize,
        seed=dict(type=int, default=0, help="seed of the draws"),
        count=dict(type=int, default=30, metavar="N", help="number of networks"),
        flops=dict(
            type=float, default=1e10, help="most operations that the products of a step may have"
        ),
        depth=dict(
            choices=["log-uniform", "uniform"],
            default="log-uniform",
            help="distribution of the number of linear layers",
        ),
    )
