"""A perceptron that is trained or evaluated, and the least work that this takes.

A `Workload` describes what all candidates compute: sizes, batch, activation, normalisation,
dropout, loss, optimizer. It makes the data and the first weights, so all start from the same ones.

The work of a step is counted by formula: the operations of its matrix products, and the bytes of
parameters, gradients and optimizer state (once in each direction) and of activations (once).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

RATE = 1e-3  # learning rate of every optimizer

# name -> class in ``optim``, its options, number of state arrays for each parameter
OPTIMIZERS: dict[str, tuple[str, dict[str, float], int]] = {
    "SGD": ("SGD", {}, 0),
    "momentum": ("SGD", {"momentum": 0.9}, 1),
    "RMSprop": ("RMSprop", {}, 1),
    "Adam": ("Adam", {}, 2),
    "AdamW": ("AdamW", {"weight_decay": 1e-2}, 2),
}
INFERENCE = ""  # instead of an optimizer: the forward pass alone, in eval mode
# name -> class in ``nn``
LOSSES = {
    "cross-entropy": "CrossEntropyLoss",
    "squared error": "MSELoss",
    "binary cross-entropy": "BCEWithLogitsLoss",
}


@dataclass(frozen=True)
class Workload:
    """A perceptron, its batch and its optimizer."""

    name: str
    sizes: tuple[int, ...]  # features of the input and of each layer
    batch: int
    optimizer: str = "SGD"
    activation: str = "ReLU"  # a class of ``nn``
    norm: str = ""  # a class of ``nn``, between each hidden layer and its activation
    dropout: float = 0.0  # after each activation
    loss: str = "cross-entropy"

    def __str__(self) -> str:
        """The sizes, and all options that are not the default."""
        hidden, parts = self.sizes[1:-1], [*map(str, self.sizes)]
        if len(hidden) > 5 and len(set(hidden)) == 1:
            parts[1:-1] = [f"{len(hidden)}x{hidden[0]}"]
        words = [
            "-".join(parts),
            self.activation if hidden and self.activation != "ReLU" else "",
            self.norm if hidden else "",
            f"Dropout {self.dropout}" if hidden and self.dropout else "",
            self.loss if self.loss != "cross-entropy" and self.training else "",
            f"batch {self.batch}",
            self.optimizer or "inference",
        ]
        return ", ".join(filter(None, words))

    @property
    def training(self) -> bool:
        """Whether a call is a whole training step, and not the forward pass alone."""
        return self.optimizer != INFERENCE

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Numbers of inputs and outputs of each linear layer."""
        return list(itertools.pairwise(self.sizes))

    @property
    def flops(self) -> float:
        """Operations of x W in each layer and, in training, of x' g and (not in the first) g W'."""
        layers = [i * o for i, o in self.pairs]
        return 2.0 * self.batch * (3 * sum(layers) - layers[0] if self.training else sum(layers))

    @property
    def parameters(self) -> int:
        """Number of learned values."""
        norms = 2 * sum(self.sizes[1:-1]) if self.norm else 0
        return sum((i + 1) * o for i, o in self.pairs) + norms

    @property
    def bytes(self) -> float:
        """Bytes of parameters, gradients and state read and written, activations and input once."""
        arrays = 2 * (2 + OPTIMIZERS[self.optimizer][2]) if self.training else 1
        return 4.0 * (arrays * self.parameters + self.batch * sum(self.sizes))

    @property
    def level(self) -> str:
        """Where these bytes can stay from step to step, assuming a shared cache of 16 MB."""
        return "memory" if self.bytes / 2 > 1 << 24 else "L3"

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs (batch, features), and labels (batch,) or values (batch, outputs)."""
        generator = np.random.default_rng(0)
        x = generator.standard_normal((self.batch, self.sizes[0])).astype(np.float32)
        if self.loss == "cross-entropy":
            return x, generator.integers(0, self.sizes[-1], self.batch)
        return x, generator.random((self.batch, self.sizes[-1]), dtype=np.float32)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the first weight (inputs, outputs) and bias (outputs,) of each linear layer."""
        generator = np.random.default_rng(1)
        return [
            ((generator.standard_normal((i, o)) / i**0.5).astype(np.float32), np.zeros(o, "f"))
            for i, o in self.pairs
        ]

    def model(self, nn: Any) -> Any:
        """Return a ``Sequential`` of ``tinygrad_mlp.nn`` or ``torch.nn``; their names are equal."""
        layers = []
        for inputs, outputs in self.pairs[:-1]:
            layers.append(nn.Linear(inputs, outputs))
            if self.norm:
                layers.append(getattr(nn, self.norm)(outputs))
            layers.append(getattr(nn, self.activation)())
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
        return nn.Sequential(*layers, nn.Linear(*self.sizes[-2:])).train(self.training)

    def state(self, convert: Any) -> dict[str, Any]:
        """Return `weights` under the names they have in `model`, each weight (outputs, inputs)."""
        stride = 2 + bool(self.norm) + bool(self.dropout)
        arrays = {}
        for k, (weight, bias) in enumerate(self.weights()):
            arrays[f"{k * stride}.weight"] = convert(np.ascontiguousarray(weight.T))
            arrays[f"{k * stride}.bias"] = convert(bias)
        return arrays

    def criterion(self, nn: Any) -> Any:
        """Return the loss of ``nn``."""
        return getattr(nn, LOSSES[self.loss])()

    def make_optimizer(self, optim: Any, parameters: Any) -> Any:
        """Return the optimizer of ``optim`` for these parameters."""
        name, options, _ = OPTIMIZERS[self.optimizer]
        return getattr(optim, name)(parameters, lr=RATE, **options)
