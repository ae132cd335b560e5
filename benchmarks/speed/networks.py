"""Networks drawn at random, compiled by us and by JAX: a ratio for each, their geometric mean.

    python benchmarks/networks.py                               # 30 networks, seed 0
    python benchmarks/networks.py --seed 7 --count 10 --threads 2 --json networks.json

The distribution. Log-uniform: linear layers, 1 to 50; width of the hidden layers, 2 to 2048; inputs
and outputs, 2 to 2048 each; batch, 1 to 10,000. Uniform: the activation, of eight; normalisation,
none twice as likely as BatchNorm1d and as LayerNorm; dropout, none or 0.5 or 0.2; the loss, of
three; the optimizer, of five. A draw whose step has more than ``--flops`` operations in its
products, or normalises a batch of one by batch, is drawn again. ``--depth uniform`` takes the depth
from a uniform distribution instead: most networks are then deep.

Both do the whole step on the same data from the same first weights; JAX has it in one `jit`, with
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
from report import OURS, Case, main, peer
from workload import LOSSES, OPTIMIZERS, Workload

ACTIVATIONS = ("ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Tanh", "Sigmoid", "Softplus")
NORMS = ("", "", "BatchNorm1d", "LayerNorm")
RATES = (0.0, 0.2, 0.5)
LARGEST = {"depth": 50, "width": 2048, "batch": 10_000}


def networks(given: argparse.Namespace) -> Iterator[Workload]:
    """The first ``count`` draws that are allowed."""
    generator = np.random.default_rng(given.seed)
    found = 0
    while found < given.count:
        workload = draw(generator, f"{found:02d}", given.depth)
        alone = workload.batch == 1 and workload.norm == "BatchNorm1d" and len(workload.sizes) > 2
        if workload.flops <= given.flops and not alone:
            yield workload
            found += 1


def draw(generator: np.random.Generator, name: str, depth: str = "log-uniform") -> Workload:
    """One network; as many numbers are drawn for each, whatever they are."""
    layers = log_uniform(generator, 1, LARGEST["depth"])
    layers = int(generator.integers(1, LARGEST["depth"] + 1)) if depth == "uniform" else layers
    inputs, width, outputs = (log_uniform(generator, 2, LARGEST["width"]) for _ in range(3))
    batch = log_uniform(generator, 1, LARGEST["batch"])
    activation, norm, rate, loss, optimizer = (
        kinds[generator.integers(len(kinds))]
        for kinds in (ACTIVATIONS, NORMS, RATES, tuple(LOSSES), tuple(OPTIMIZERS))
    )
    sizes = (inputs, *[width] * (layers - 1), outputs)
    return Workload(name, sizes, batch, optimizer, activation, norm, rate, loss)


def log_uniform(generator: np.random.Generator, low: int, high: int) -> int:
    """A whole number from low to high, each by a chance that falls as one over it."""
    return min(high, math.floor(math.exp(generator.uniform(math.log(low), math.log(high + 1)))))


def candidates(workload: Workload, library: Any) -> dict[str, Callable[[], object]]:
    """Ours, and JAX where it is installed."""
    steps = {f"{OURS}, compiled": ours.step(workload, compiled=True)}
    return steps | ({"JAX": jax.step(workload, library)} if library else {})


def cases(given: argparse.Namespace) -> Iterator[Case]:
    """Every network."""
    library = peer("jax")
    if library is None:
        print("JAX is not installed: there is nothing to compare with", file=sys.stderr)
    for workload in networks(given):
        make = functools.partial(candidates, workload, library)
        name = f"{workload.name}: {workload}"
        yield Case(name, make, workload.flops, workload.bytes, level=workload.level)


def conclude(console: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """JAX's time over ours: the geometric mean, the worst, how many we lose."""
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
        conclude,
        seed=dict(type=int, default=0, help="of the draws"),
        count=dict(type=int, default=30, help="networks"),
        flops=dict(type=float, default=1e10, help="largest step, in operations"),
        depth=dict(choices=["log-uniform", "uniform"], default="log-uniform"),
    )
