"""What the contestants share: options, files, and when to stop. Imports nothing but NumPy.

All train 784-512-512-10 with ReLU, dropout 0.2 after each hidden layer, Adam of rate 1e-3, batches
of 128 in an order drawn anew for each epoch (what is left over is dropped), pixels in [0, 1]. All
start from the same weights, but scikit-learn, which takes none. After each epoch the whole test set
is classified without dropout.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HIDDEN, BATCH, DROPOUT, RATE = (512, 512), 128, 0.2, 1e-3
FILES = {"train": "train", "test": "t10k"}


@dataclass
class Race:
    """The data, what the draws follow from, and how far one has come."""

    x: np.ndarray  # float32 (N, pixels)
    y: np.ndarray  # int64 (N,)
    x_test: np.ndarray
    y_test: np.ndarray
    seed: int
    threads: int
    goal: float  # test accuracy
    epochs: int  # at most

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)
        self.sizes = (self.x.shape[1], *HIDDEN, 10)
        self.accuracies: list[float] = []

    def weights(self) -> list[np.ndarray]:
        """First weights (inputs, outputs) of each layer; biases are to be 0."""
        return [
            self.generator.uniform(-(i**-0.5), i**-0.5, (i, o)).astype(np.float32)
            for i, o in itertools.pairwise(self.sizes)
        ]

    def batches(self) -> Iterator[np.ndarray]:
        """The rows of each batch of one epoch."""
        order = self.generator.permutation(len(self.x))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield order[start : start + BATCH]

    def ends(self, accuracy: float) -> bool:
        """An epoch is over, with this test accuracy: whether it was the last."""
        self.accuracies.append(accuracy)
        return self.reached or len(self.accuracies) >= self.epochs

    @property
    def reached(self) -> bool:
        """Whether the goal is."""
        return bool(self.accuracies) and self.accuracies[-1] >= self.goal

    def by_epochs(self, epoch: Callable[[], object], classify: Callable[[], np.ndarray]) -> None:
        """Train on all rows once, and then give each row of the test set a class: to the end."""
        over = False
        while not over:
            epoch()
            over = self.ends(float(np.mean(np.asarray(classify()) == self.y_test)))


def run(contestant: Callable[[Race], object]) -> None:
    """Let a contestant train until `Race.ends` says so; prints its accuracies as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--goal", type=float, default=0.98)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=30, help="at most")
    given = parser.parse_args()
    parts = [*read(given.data_dir, "train"), *read(given.data_dir, "test")]
    race = Race(*parts, given.seed, given.threads, given.goal, given.epochs)
    contestant(race)
    print(json.dumps({"accuracies": race.accuracies, "reached": race.reached}))


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, pixels) in [0, 1] and labels (N,), from IDX files as they are distributed."""
    images = idx(folder, f"{FILES[part]}-images-idx3-ubyte")
    labels = idx(folder, f"{FILES[part]}-labels-idx1-ubyte")
    return images.reshape(len(images), -1) / np.float32(255), labels.astype(np.int64)


def idx(folder: Path, name: str) -> np.ndarray:
    """Bytes of an IDX file, compressed or not: 0, 0, 8, dimensions; each size; the bytes."""
    for place in (folder / name, folder / "mnist" / name):
        if place.exists():
            content = place.read_bytes()
            break
        if (packed := place.with_name(f"{name}.gz")).exists():
            content = gzip.decompress(packed.read_bytes())
            break
    else:
        raise SystemExit(f"neither {name} nor {name}.gz is in {folder} or {folder / 'mnist'}")
    if content[:3] != b"\0\0\x08":
        raise SystemExit(f"{place} is no IDX file of bytes")
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
