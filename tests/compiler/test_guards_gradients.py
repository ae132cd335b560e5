"""Gradients that the leaves of a step have before a call, and after it."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.compiler.training import Training, data
from tinygrad_mlp import nn, optim


def accumulate(compiled: bool, forget):
    w = nn.Parameter(tg.ones(5))

    def micro(x):
        (x @ w).tanh().sum().backward()

    step = tg.compile(micro) if compiled else micro
    found = []
    for k in range(9):
        step(data(k)[0])
        found.append(w.grad.tolist())
        if k % 3 == 2:
            forget(w)
    return found, getattr(step, "captures", None)


def forget_by_hand(w):
    w.grad = None


@pytest.mark.parametrize(
    "forget",
    [
        forget_by_hand,
        lambda w: w.grad.zero_(),
        lambda w: None,
        lambda w: optim.SGD([w], 0.1).zero_grad(),
    ],
    ids=["none", "zero_", "never", "zero_grad"],
)
def test_gradients_accumulate_over_calls(forget):
    plain, compiled = accumulate(False, forget), accumulate(True, forget)
    assert plain[0] == compiled[0]
    assert compiled[1] == 2  # without a gradient, and with one


def test_gradients_are_overwritten_by_zero():
    w = nn.Parameter(tg.ones(5))
    optimizer = optim.SGD([w], 0.1)

    @tg.compile
    def step(x):
        optimizer.zero_grad(set_to_none=False)
        (x @ w).tanh().sum().backward()
        optimizer.step()

    other = nn.Parameter(tg.ones(5))
    plain = optim.SGD([other], 0.1)
    for k in range(5):
        step(data(k)[0])
        plain.zero_grad()
        (data(k)[0] @ other).tanh().sum().backward()
        plain.step()
        assert w.tolist() == other.tolist()
        assert w.grad.tolist() == other.grad.tolist()
    assert step.captures == 2


def test_a_gradient_reset_by_hand_in_the_step():
    w = nn.Parameter(tg.ones(5))

    @tg.compile
    def step(x):
        w.grad = None
        (x @ w).sum().backward()

    for k in range(4):
        x = data(k)[0]
        step(x)
        np.testing.assert_allclose(w.grad.numpy(), x.numpy().sum(0), rtol=1e-5)
    assert step.captures <= 2


def test_a_parameter_without_gradient_gets_one_by_hand():
    runs = []
    for compiled in (False, True):
        used, idle = nn.Parameter(tg.ones(3)), nn.Parameter(tg.ones(3))
        optimizer = optim.SGD([used, idle], 0.5)

        def step(used=used, optimizer=optimizer):
            used.grad = None
            (used * used).sum().backward()
            optimizer.step()

        step = tg.compile(step) if compiled else step
        for k in range(6):
            idle.grad = tg.ones(3) if k in (2, 3) else None
            step()
        runs.append((used.tolist(), idle.tolist()))
    assert runs[0] == runs[1]


def test_zero_grad_resets_the_gradients_of_unused_parameters():
    used, idle = nn.Parameter(tg.ones(3)), nn.Parameter(tg.ones(3))
    optimizer = optim.SGD([used, idle], 0.5)

    @tg.compile
    def step():
        optimizer.zero_grad()
        used.sum().backward()
        optimizer.step()

    for _ in range(3):
        idle.grad = tg.ones(3)
        step()
        assert idle.grad is None
        assert idle.tolist() == [1, 1, 1]


def test_a_run_invalidates_tensors_saved_on_an_older_tape():
    t = Training(True)
    x, y = data()
    t.step(x, y)
    for run in (t.step, t.step.function):
        loss = F.cross_entropy(t.model(x), y)
        run(x, y)
        with pytest.raises(RuntimeError, match="was changed in place after it was recorded"):
            loss.backward()


def test_gradients_of_arguments():
    @tg.compile
    def step(x):
        (x * x).sum().backward()

    given = [tg.tensor([float(k)], requires_grad=True) for k in range(4)]
    for x in given:
        step(x)
    assert [x.grad.item() for x in given] == [0, 2, 4, 6]
    assert step.captures == 1
    with pytest.raises(tg.CaptureError, match=r"Set x.grad = None before the call"):
        step(given[0])
