"""A compiled step gives the results, gradients, states and errors of eager mode."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

N, FEATURES, CLASSES = 24, 6, 4


def data(seed: int = 0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((N, FEATURES)).astype(np.float32)
    return tg.tensor(x), tg.tensor(generator.integers(0, CLASSES, N))


def network():
    return nn.Sequential(
        nn.Linear(FEATURES, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(16, 8),
        nn.Tanh(),
        nn.Linear(8, CLASSES),
    )


def trained(compiled: bool, steps: int = 5, make=lambda p: optim.Adam(p, lr=0.01)):
    """Return the losses of some steps, and all that they changed."""
    tg.manual_seed(0)
    model = network()
    optimizer = make(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = tg.compile(step) if compiled else step
    losses = [run(*data(k)).item() for k in range(steps)]
    state = [v.tolist() for v in model.state_dict().values()]
    gradients = [p.grad.tolist() for p in model.parameters()]
    moments = [v.tolist() for p in model.parameters() for v in optimizer.state[p].values()]
    return losses, state, gradients, moments, tg.get_rng_state().tolist()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"])
def test_results_are_bit_identical_to_eager_mode(name: str) -> None:
    def make(parameters):
        return getattr(optim, name)(parameters, lr=0.01)

    assert trained(True, make=make) == trained(False, make=make)


def test_a_learning_rate_is_read_at_every_step() -> None:
    w = nn.Parameter(tg.ones(3))
    optimizer = optim.SGD([w], lr=1.0)

    @tg.compile
    def step():
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()

    step()
    for lr in (0.5, 0.25):
        optimizer.param_groups[0]["lr"] = lr
        before = w.tolist()
        step()
        assert w.tolist() == [v - lr for v in before]
    assert len(step.specializations) == 1


def test_reading_a_value_is_refused() -> None:
    @tg.compile
    def step(x):
        return x * 2 if x.sum().item() > 0 else x

    with pytest.raises(tg.CaptureError, match=r"item\(\) takes a value out.*in step, .*test_compi"):
        step(tg.ones(3))
