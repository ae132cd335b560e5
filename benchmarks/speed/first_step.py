"""One process of `start.py`: imports, and the first compiled step of a network. Prints seconds.

    python benchmarks/first_step.py ours 784 300 10

``--novel``: afterwards the first step of two more networks, one whose activation is known by then,
and one whose activation nobody has met; and how many files of generated kernels that added.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

BATCH = 128
FORMS = ("tanh", "sigmoid", "sin", "cos", "square", "abs", "sqrt", "expm1", "log1p", "erf")


def first(contestant: str, sizes: list[int]) -> Callable[[], object]:
    """The step; its library is imported here, and NumPy."""
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


def with_activation(words: list[str], sizes: list[int]) -> float:
    """Seconds of the first step of a perceptron with these functions, one after another."""
    import tinygrad_mlp as tg
    from tinygrad_mlp import nn, optim

    class Chain(nn.Module):
        def forward(self, x: Any) -> Any:
            for word in words:
                x = getattr(tg, word)(x * x + 0.5 if word in ("sqrt", "log1p") else x)
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
    begin = time.perf_counter()
    step(x, y)
    return time.perf_counter() - begin


def novel(seed: int, sizes: list[int]) -> dict[str, float]:
    """What chains nobody has met cost: the second network's step beside the third's."""
    import numpy as np

    from tinygrad_mlp.kernels.runtime.cache import folder

    generator = np.random.default_rng(seed)
    words = [FORMS[k] for k in generator.integers(len(FORMS), size=6)]
    for word in set(words):  # each op by itself is known
        with_activation([word], sizes)
    known = with_activation(words[:1], [size + 1 for size in sizes])
    before = len(list(folder().glob("*.py")))
    unknown = with_activation(words, [size + 2 for size in sizes])
    return {"known": known, "unknown": unknown, "new": len(list(folder().glob("*.py"))) - before}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("contestant", choices=["ours", "JAX", "torch.compile"])
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--novel", type=int, metavar="SEED")
    given = parser.parse_args()
    begin = time.perf_counter()
    step = first(given.contestant, given.sizes)
    step()
    said: dict[str, Any] = {"seconds": time.perf_counter() - begin}
    if given.novel is not None:
        said["novel"] = novel(given.novel, [given.sizes[0], given.sizes[1], given.sizes[-1]])
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
