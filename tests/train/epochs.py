"""Data, networks and the comparison of compiled with eager training, for tests of epochs."""

from __future__ import annotations

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.train.fit import fit

ROWS, FEATURES, CLASSES = 53, 4, 3
PACE = ("seconds", "samples_per_second")


def labelled(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = np.arange(ROWS) % CLASSES
    return (draw.normal(size=(ROWS, FEATURES)) + y[:, None]).astype(np.float32), y


def valued(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, _ = labelled(seed)
    return x, np.stack([x.sum(1), np.sin(x[:, 0])], 1)


def network(outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(
        nn.Linear(FEATURES, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(16, outputs),
    )


def adam(model: nn.Module) -> optim.Optimizer:
    return optim.Adam(model.parameters(), lr=0.01)


class Outcome:
    """All that a fit leaves behind, to the bit; an error too."""

    def __init__(self, compile: bool, model=network, optimizer=adam, data=labelled, **options):
        tg.manual_seed(3)
        self.model = model()
        self.optimizer = optimizer(self.model)
        given = {"validation": data(1), "epochs": 3, "batch_size": 8, "progress": False} | options
        if "scheduler" in options:
            given["scheduler"] = options["scheduler"](self.optimizer)
        self.history, self.error = [], ""
        try:
            history = fit(self.model, self.optimizer, data(), compile=compile, **given)
            self.history = [{k: v for k, v in row.items() if k not in PACE} for row in history]
        except FloatingPointError as error:
            self.error = str(error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self.parts() == other.parts()

    def parts(self):
        states = [self.optimizer.state[p] for p in self.model.parameters()]
        return (
            self.history,
            self.error,
            tg.get_rng_state().tolist(),
            {name: value.tolist() for name, value in self.model.state_dict().items()},
            [None if p.grad is None else p.grad.tolist() for p in self.model.parameters()],
            [{name: value.tolist() for name, value in state.items()} for state in states],
        )


def both(**options) -> Outcome:
    """Compiled and not: the same."""
    native, python = Outcome(True, **options), Outcome(False, **options)
    assert native.parts() == python.parts()
    assert native.history or native.error
    return native


class Tenfold(nn.Module):
    """What is too large already becomes inf."""

    def forward(self, x):
        return x * 10


class Twice(tg.autograd.Function):
    """An op written in Python."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


class Opaque(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        return Twice.apply(self.layer(10 * x))
