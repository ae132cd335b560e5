"""The rules of the race, shared by its programs: options, files, end. Imports only NumPy.

All train 784-512-512-10 with ReLU, dropout 0.2 after each hidden layer, Adam with learning rate
1e-3, batches of 128 in a new random order in each epoch (the incomplete last batch is dropped),
pixels in [0, 1]. All start from the same weights, except scikit-learn, which draws its own. After
each epoch the whole test set is classified without dropout. At the end the model is saved, in the
library's own format, to a temporary folder.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HIDDEN, BATCH, DROPOUT, RATE = (512, 512), 128, 0.2, 1e-3
FILES = {"train": "train", "test": "t10k"}


@dataclass
class Race:
    """The data, the options, and the test accuracy after each epoch."""

    x: np.ndarray  # float32 (N, pixels)
    y: np.ndarray  # int64 (N,)
    x_test: np.ndarray
    y_test: np.ndarray
    seed: int
    threads: int
    goal: float  # test accuracy
    epochs: int  # most epochs of a run

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)
        self.sizes = (self.x.shape[1], *HIDDEN, 10)
        self.accuracies: list[float] = []

    def weights(self) -> list[np.ndarray]:
        """Draw the first weight (inputs, outputs) of each layer; biases start at 0."""
        return [
            self.generator.uniform(-(i**-0.5), i**-0.5, (i, o)).astype(np.float32)
            for i, o in itertools.pairwise(self.sizes)
        ]

    def batches(self) -> Iterator[np.ndarray]:
        """Yield the rows of each batch of one epoch, in random order."""
        order = self.generator.permutation(len(self.x))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield order[start : start + BATCH]

    def record(self, accuracy: float) -> bool:
        """Record an epoch's test accuracy; return whether this was the last epoch."""
        self.accuracies.append(accuracy)
        return self.reached or len(self.accuracies) >= self.epochs

    @property
    def reached(self) -> bool:
        """Whether the last accuracy reaches the goal."""
        return bool(self.accuracies) and self.accuracies[-1] >= self.goal

    def train(
        self,
        train_epoch: Callable[[], object],
        classify: Callable[[], np.ndarray],
        save: Callable[[Path], object],
    ) -> None:
        """Train epoch by epoch, and classify the test set after each, until the race ends."""
        ended = False
        while not ended:
            train_epoch()
            ended = self.record(float(np.mean(np.asarray(classify()) == self.y_test)))
        self.save(save)

    def save(self, save: Callable[[Path], object]) -> None:
        """Let a contestant save its model, and check that a file is there."""
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder))
            if not any(Path(folder).iterdir()):
                raise SystemExit("the contestant saved nothing")


def run(contestant: Callable[[Race], object]) -> None:
    """Parse the options, let a contestant train, and print its accuracies as JSON."""
    parser = argparse.ArgumentParser(
        description="Train on MNIST until the test accuracy reaches a goal; print JSON."
    )
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="folder with MNIST's four IDX files"
    )
    parser.add_argument("--goal", type=float, default=0.98, help="test accuracy that ends the run")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and order of batches")
    parser.add_argument("--threads", type=int, default=1, help="number of threads")
    parser.add_argument("--epochs", type=int, default=30, help="most epochs of the run")
    args = parser.parse_args()
    arrays = [*read(args.data_dir, "train"), *read(args.data_dir, "test")]
    race = Race(*arrays, args.seed, args.threads, args.goal, args.epochs)
    contestant(race)
    print(json.dumps({"accuracies": race.accuracies, "reached": race.reached}))


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Read images (N, pixels) in [0, 1] and labels (N,) from IDX files as distributed."""
    images = read_idx(folder, f"{FILES[part]}-images-idx3-ubyte")
    labels = read_idx(folder, f"{FILES[part]}-labels-idx1-ubyte")
    return images.reshape(len(images), -1) / np.float32(255), labels.astype(np.int64)


def read_idx(folder: Path, name: str) -> np.ndarray:
    """Read an IDX file of bytes, plain or compressed with gzip.

    Its content: 0, 0, 8, the number of dimensions; each size as a big-endian int32; the bytes.
    """
    paths = [base / file for base in (folder, folder / "mnist") for file in (name, f"{name}.gz")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise SystemExit(f"neither {name} nor {name}.gz is in {folder} or {folder / 'mnist'}")
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if content[:3] != b"\0\0\x08":
        raise SystemExit(f"{path} is not an IDX file of bytes")
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
