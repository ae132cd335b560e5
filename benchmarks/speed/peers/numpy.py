"""NumPy: the step written by hand from the formulas."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from workload import RATE, Workload

Array = np.ndarray


def step(workload: Workload) -> Callable[[], object] | None:
    """Return the step: ReLU, BatchNorm1d, dropout, cross-entropy, SGD or Adam only."""
    supported = (
        workload.activation == "ReLU"
        and workload.norm in ("", "BatchNorm1d")
        and workload.loss == "cross-entropy"
        and workload.optimizer in ("SGD", "Adam", "")
    )
    if not supported or (workload.norm and not workload.training):
        return None
    x, y = workload.data()
    network = Network(workload)
    if not workload.training:
        return lambda: network.forward(x)[0]
    update = Adam(network.parameters) if workload.optimizer == "Adam" else sgd
    rows = np.arange(len(y))

    def train_step() -> object:
        outputs, saved = network.forward(x)
        g = np.exp(outputs - outputs.max(1, keepdims=True))
        g /= g.sum(1, keepdims=True)
        loss = -np.log(g[rows, y]).mean()
        g[rows, y] -= 1
        g /= len(y)
        update(network.parameters, network.backward(g, saved))
        return loss

    return train_step


class Network:
    """Forward and backward. Parameters: w, b of each layer, then scale, shift of each norm."""

    def __init__(self, workload: Workload):
        self.norm, self.dropout = bool(workload.norm), workload.dropout * workload.training
        self.depth = len(workload.pairs)
        hidden = workload.sizes[1:-1] if self.norm else ()
        norms = [(np.ones(size, "f"), np.zeros(size, "f")) for size in hidden]
        self.statistics = [(np.zeros(size, "f"), np.ones(size, "f")) for size in hidden]
        self.parameters = list(itertools.chain(*workload.weights(), *norms))
        self.generator = np.random.default_rng(0)

    def forward(self, x: Array) -> tuple[Array, list[tuple[Array, ...]]]:
        """Return the outputs, and what backward needs of each layer: its input, factors, norms."""
        saved = []
        for k in range(self.depth - 1):
            z = x @ self.parameters[2 * k] + self.parameters[2 * k + 1]
            normalised = self.normalise(k, z) if self.norm else (z,)
            factor = (normalised[0] > 0).astype(np.float32)
            if self.dropout:
                keep = self.generator.random(z.shape, dtype=np.float32) >= self.dropout
                factor *= keep / np.float32(1 - self.dropout)
            saved.append((x, factor, *normalised[1:]))
            x = normalised[0] * factor
        weight, bias = self.parameters[2 * self.depth - 2 : 2 * self.depth]
        return x @ weight + bias, [*saved, (x,)]

    def normalise(self, k: int, z: Array) -> tuple[Array, Array, Array]:
        """Return BatchNorm of hidden layer ``k``: result, (z - mean) / deviation, 1 / deviation."""
        mean, variance = z.mean(0), z.var(0)
        unbiased = variance * np.float32(len(z) / (len(z) - 1))
        for old, new in zip(self.statistics[k], (mean, unbiased), strict=True):
            old += np.float32(0.1) * (new - old)
        inverse = 1 / np.sqrt(variance + np.float32(1e-5))
        unit = (z - mean) * inverse
        scale, shift = self.parameters[2 * (self.depth + k) : 2 * (self.depth + k) + 2]
        return unit * scale + shift, unit, inverse

    def backward(self, g: Array, saved: list[tuple[Array, ...]]) -> list[Array]:
        """Return the gradients, in the order of the parameters."""
        linear: list[Array] = []
        norms: list[Array] = []
        for k in reversed(range(self.depth)):
            if k < self.depth - 1:
                _, factor, *rest = saved[k]
                g = g * factor
                if rest:
                    unit, inverse = rest
                    g_scale, g_shift = (g * unit).sum(0), g.sum(0)
                    norms = [g_scale, g_shift, *norms]
                    scale = self.parameters[2 * (self.depth + k)]
                    g = (scale * inverse) * (g - (unit * g_scale + g_shift) / np.float32(len(g)))
            linear = [saved[k][0].T @ g, g.sum(0), *linear]
            if k:
                g = g @ self.parameters[2 * k].T
        return linear + norms


def sgd(parameters: list[Array], gradients: list[Array]) -> None:
    """Update p -= lr g."""
    for p, g in zip(parameters, gradients, strict=True):
        p -= np.float32(RATE) * g


class Adam:
    """Adam with the defaults of `tinygrad_mlp.optim.Adam`."""

    def __init__(self, parameters: list[Array]):
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
        self.count = 0

    def __call__(self, parameters: list[Array], gradients: list[Array]) -> None:
        """Update all parameters in place."""
        self.count += 1
        rate = np.float32(RATE / (1 - 0.9**self.count))
        root = np.float32((1 - 0.999**self.count) ** 0.5)
        for p, g, (m, v) in zip(parameters, gradients, self.moments, strict=True):
            m += np.float32(0.1) * (g - m)
            v += np.float32(0.001) * (g * g - v)
            p -= rate * m / (np.sqrt(v) / root + np.float32(1e-8))
