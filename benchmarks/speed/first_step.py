"""One process of `start.py`: import a library, run the first compiled step. Prints JSON.

    python benchmarks/speed/first_step.py ours 784 300 10

With ``--chains`` two more networks follow, each with its first step: one whose elementwise ops have
been compiled before, and one with a new chain of them. Their seconds, and the number of kernels
generated for the new chain, are printed too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

BATCH = 128
FUNCTIONS = ("tanh", "sigmoid", "sin", "cos", "square", "abs", "sqrt", "expm1", "log1p", "erf")


def build_step(contestant: str, sizes: list[int]) -> Callable[[], object]:
    """Import the contestant's library, and return its training step."""
    from workload import Workload

    workload = Workload("first", tuple(sizes), BATCH, norm="BatchNorm1d", dropout=0.5)
    if contestant == "ours":
        from peers import ours

        return ours.step(workload, compiled=True)
    if contestant == "JAX":
        import jax
        from peers import jax as peer

        return peer.step(workload, jax)
    import torch
    from peers import pytorch

    return pytorch.step(workload, torch, compiled=True)


def time_chain(functions: list[str], sizes: list[int]) -> float:
    """Return the seconds of the first step of a perceptron whose activation is this chain."""
    import tinygrad_mlp as tg
    from tinygrad_mlp import nn, optim

    class Chain(nn.Module):
        def forward(self, x: Any) -> Any:
            for name in functions:
                x = getattr(tg, name)(x * x + 0.5 if name in ("sqrt", "log1p") else x)
            return x

    inputs, hidden, outputs = sizes
    model = nn.Sequential(nn.Linear(inputs, hidden), Chain(), nn.Linear(hidden, outputs))
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    @tg.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = tg.randn(BATCH, inputs), tg.randint(0, outputs, (BATCH,))
    start = time.perf_counter()
    step(x, y)
    return time.perf_counter() - start


def measure_chains(seed: int, sizes: list[int]) -> dict[str, float]:
    """Time the first step of a network without a new chain, and of one with a new chain."""
    import numpy as np

    from tinygrad_mlp.kernels.runtime.cache import folder

    def generated() -> int:
        return len(list(folder().glob("*.py")))

    generator = np.random.default_rng(seed)
    functions = [FUNCTIONS[k] for k in generator.integers(len(FUNCTIONS), size=6)]
    for name in set(functions):  # compile each op alone
        time_chain([name], sizes)
    known = time_chain(functions[:1], [size + 1 for size in sizes])
    before = generated()
    new = time_chain(functions, [size + 2 for size in sizes])
    return {"known": known, "new": new, "kernels": generated() - before}


def main() -> None:
    """Parse the options, run, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "contestant", choices=["ours", "JAX", "torch.compile"], help="the library to start"
    )
    parser.add_argument(
        "sizes", type=int, nargs="+", help="features of the input, of each layer, of the output"
    )
    parser.add_argument(
        "--chains", type=int, metavar="SEED", help="also time a new chain, drawn with this seed"
    )
    args = parser.parse_args()
    start = time.perf_counter()
    build_step(args.contestant, args.sizes)()
    result: dict[str, Any] = {"seconds": time.perf_counter() - start}
    if args.chains is not None:
        sizes = [args.sizes[0], args.sizes[1], args.sizes[-1]]
        result["chains"] = measure_chains(args.chains, sizes)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
