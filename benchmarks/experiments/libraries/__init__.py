"""Networks trained in Keras and PyTorch, one process each, to compare with.

`train` starts ``keras_mlp.py`` or ``torch_mlp.py`` with a description of the network in JSON, and
returns what it prints: the number of parameters, test accuracy and losses per epoch, and samples
per second (the median over epochs but the first, which compiles; training only).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODULES = {"Keras": ("keras_mlp", ("keras", "jax")), "PyTorch": ("torch_mlp", ("torch",))}


@dataclass(frozen=True)
class Network:
    """A perceptron for MNIST: ReLU, batch normalisation and dropout after each hidden layer.

    Attributes:
        hidden: widths of the hidden layers.
        dropout: probability of dropout after each hidden layer, 0 for none.
    """

    hidden: tuple[int, ...]
    dropout: tuple[float, ...]
    epochs: int
    seed: int
    rate: float = 0.01
    batch: int = 128
    threads: int = 2


def installed(name: str) -> bool:
    """Return whether the libraries of a peer can be imported."""
    return all(find_spec(library) for library in MODULES[name][1])


def train(name: str, network: Network) -> dict[str, Any]:
    """Train a network in a process of its own, and return what it measured."""
    count = str(network.threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    done = subprocess.run(
        [sys.executable, "-m", f"libraries.{MODULES[name][0]}", json.dumps(asdict(network))],
        env=os.environ | dict.fromkeys(names, count) | {"KERAS_BACKEND": "jax"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def load() -> tuple[Any, ...]:
    """Return the images (float32, 0 to 1, one row each) and labels, of training and test."""
    from tinygrad_mlp.data import mnist, split

    train, test = split(mnist())
    return train.x, train.y, test.x, test.y
