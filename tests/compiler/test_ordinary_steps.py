"""Ordinary training steps compile without a warning, with Python state of all kinds around them."""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.compiler.training import data
from tinygrad_mlp import nn, optim

log = logging.getLogger(__name__)
Made = tuple[Callable[..., Any], Callable[[Any], object]]
STEPS: dict[str, Callable[[], Made]] = {}


def step_of(make: Callable[[], Made]) -> Callable[[], Made]:
    STEPS[make.__name__] = make
    return make


class Net(nn.Module):
    """A module with Python numbers, a dict and lists."""

    depth = 3

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width, self.config, self.stats = width, {"activation": "relu", "p": 0.1}, []
        self.layers = nn.ModuleList([nn.Linear(width if k else 5, width) for k in range(3)])
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        for layer in self.layers:
            x = getattr(F, self.config["activation"])(layer(x))
            if self.training:
                x = F.dropout(x, self.config["p"])
        return self.out(x.reshape(-1, self.width))


class Trainer:
    """A step that is a method of an object which counts, logs and schedules outside of it."""

    def __init__(self) -> None:
        self.model = Net()
        self.optimizer = optim.AdamW(self.model.parameters(), lr=0.01)
        self.scheduler = optim.lr_scheduler.StepLR(self.optimizer, 2)
        self.seen, self.history, self.best = 0, [], math.inf
        self.meter: dict[str, float] = collections.defaultdict(float)
        self.numbers = iter(range(100))

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss

    def loss(self, x, y):
        return F.cross_entropy(self.model(x), y)

    def after(self, loss):
        self.seen += next(self.numbers)
        self.history.append(loss.item())
        self.meter["loss"] += loss.item()
        self.best = min(self.best, loss.item())
        self.scheduler.step()


@step_of
def a_trainer() -> Made:
    trainer = Trainer()
    return trainer.step, trainer.after


@step_of
def logging_and_printing() -> Made:
    trainer, losses = Trainer(), []

    def step(x, y):
        log.info("a step of %d rows", len(x))
        print("", end="")
        return trainer.step(x, y)

    return step, losses.append


@step_of
def metrics() -> Made:
    net, loss_of = Net(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(x, y):
        optimizer.zero_grad()
        out = net(x)
        loss = loss_of(out, y)
        loss.backward()
        optimizer.step()
        return {"loss": loss, "accuracy": (out.argmax(1) == y).float().mean()}

    return step, lambda found: None


@dataclasses.dataclass
class Config:
    rate: float = 0.1
    smoothing: float = 0.1
    names: tuple[str, ...] = ("a", "b")


@step_of
def averages_of_parameters() -> Made:
    config, net = Config(), nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = optim.Adam(net.parameters(), config.rate)
    averages = [p.detach().clone() for p in net.parameters()]

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y, label_smoothing=config.smoothing)
        loss = loss + 1e-3 * sum(p.square().sum() for p in net.parameters())
        loss.backward()
        optimizer.step()
        with tg.no_grad():
            for average, p in zip(averages, net.parameters(), strict=True):
                average.mul_(0.9).add_(p * 0.1)
        return loss

    return step, lambda loss: None


@step_of
def modes_and_a_learning_rate() -> Made:
    net, epoch = Net(), types.SimpleNamespace(n=0)
    optimizer = optim.SGD(net.parameters(), 0.1)

    def step(x, y):
        net.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        net.eval()
        return loss

    def after(loss):
        epoch.n += 1
        optimizer.param_groups[0]["lr"] *= 0.9

    return step, after


@step_of
def what_is_made_in_the_first_call() -> Made:
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = None

        def forward(self, x):
            if self.layer is None:
                self.layer = nn.Linear(x.shape[1], 3)
            return self.layer(x)

    class Scale:
        @functools.cached_property
        def value(self):
            return 2.0

    net, scale, cache = Lazy(), Scale(), {}

    @functools.lru_cache
    def weights(n):
        return (1.0 / n,) * n

    def step(x, y):
        if "w" not in cache:
            cache["w"] = 3.0
        return F.cross_entropy(net(x) * scale.value * cache["w"], y) * weights(3)[0]

    return step, lambda loss: None


@step_of
def two_optimizers() -> Made:
    nets = [nn.Linear(5, 3), nn.Linear(5, 3)]
    pairs = [(net, optim.SGD(net.parameters(), 0.1)) for net in nets]

    def step(x, y):
        for net, optimizer in pairs:
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
        return [p.detach().sum() for p in nets[0].parameters()]

    return step, lambda found: None


class Cube(tg.autograd.Function):
    """A function of the user's, which runs in Python at each call, and counts."""

    calls = 0

    @staticmethod
    def forward(ctx, x):
        Cube.calls += 1
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * 3 * x**2


@step_of
def a_function_of_the_user() -> Made:
    net = nn.Linear(5, 3)
    optimizer = optim.SGD(net.parameters(), 0.01)

    def step(x, y):
        optimizer.zero_grad()
        loss = Cube.apply(net(x)).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda loss: None


@step_of
def local_state() -> Made:
    net, weights, generator = nn.Linear(5, 3), np.ones(3, np.float32), np.random.default_rng(0)

    def step(x, y):
        import math as numbers
        from collections import OrderedDict

        class Local:
            n = 0

        parts, n, local = OrderedDict(), 0, Local()
        parts["a"] = net(x) * numbers.pi
        parts["b"] = tg.from_numpy(np.linspace(0, 1, 3)).float() + tg.tensor(weights)

        def count():
            nonlocal n
            n += 1
            local.n += n
            Local.n += 1

        count()
        count()
        factors = (k for k in range(3))
        next(factors)
        try:
            size = x.shape[7]
        except IndexError:
            size = next(factors)
        return sum([value.sum() for value in parts.values()]) * n * local.n * size

    return step, lambda loss: generator.random()


@step_of
def a_hook_that_lists_what_it_saw() -> Made:
    net, seen = nn.Sequential(nn.Linear(5, 3)), []
    net[0].register_forward_hook(lambda module, args, out: seen.append(1))
    return lambda x, y: F.cross_entropy(net(x), y), lambda loss: None


@pytest.mark.parametrize("name", STEPS)
def test_an_ordinary_step_compiles(name: str) -> None:
    tg.manual_seed(0)
    function, after = STEPS[name]()
    step = tg.compile(function)
    for k in range(7):
        after(step(*data(k)))
    assert 1 <= step.captures <= 2
    assert not step.in_python


def test_an_ordinary_step_has_few_values_to_compare() -> None:
    """What the snapshot of the guards compares already is not compared again."""
    trainer = Trainer()
    model, optimizer = trainer.model, trainer.optimizer

    @tg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(*data())
    assert [watch.name for watch in step.last.watches] == [
        "step.__code__",
        "Net.__mro__",
        "the methods of Net",
        "Net.forward.__code__",
        "model.config",
        "names that Net lacks",
        "names that optimizer lacks",
        "names that the module lacks",
    ]
