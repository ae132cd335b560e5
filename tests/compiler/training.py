"""A training step, plain and compiled, whose surroundings a test changes between the calls."""

from __future__ import annotations

import numpy as np

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim


def data(seed: int = 0, n: int = 12):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, 5)).astype(np.float32)
    return tg.tensor(x), tg.tensor(generator.integers(0, 3, n))


class Training:
    """A model, an optimizer and a step, plain or compiled."""

    def __init__(self, compiled: bool, make=lambda p: optim.SGD(p, lr=0.1), model=None):
        tg.manual_seed(0)
        self.model = model or nn.Sequential(
            nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.3), nn.Linear(7, 3)
        )
        self.optimizer = make(self.model.parameters())
        model, optimizer = self.model, self.optimizer

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        self.step = tg.compile(step) if compiled else step

    def all_of_it(self):
        """Everything that a step can have changed."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        return (
            [v.tolist() for v in self.model.state_dict().values()],
            [None if p.grad is None else p.grad.tolist() for p in parameters],
            [[v.tolist() for v in self.optimizer.state[p].values()] for p in parameters],
            tg.get_rng_state().tolist(),
        )


def same(between, make=lambda p: optim.SGD(p, lr=0.1), steps=6, captures=None, model=None):
    """Train plain and compiled, with ``between(training, k)`` before each step; compare all."""
    runs = []
    for compiled in (False, True):
        t = Training(compiled, make, None if model is None else model())
        losses = []
        for k in range(steps):
            between(t, k)
            losses.append(t.step(*data(k)).item())
        runs.append((losses, t.all_of_it()))
    assert runs[0] == runs[1]
    if captures is not None:
        assert t.step.captures == captures
    return t
