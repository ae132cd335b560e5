"""Tensors that a step makes and then writes to: each run starts from their first values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn

KEPT = tg.tensor([1.0, 2.0])


def ones() -> np.ndarray:
    return np.ones(2, np.float32)


MADE: dict[str, Callable[[], tg.Tensor]] = {
    "from_numpy": lambda: tg.from_numpy(ones()),
    "a view of an array": lambda: tg.from_numpy(np.arange(6, dtype=np.float32)[1:5:2]),
    "a view": lambda: tg.from_numpy(np.ones(4, np.float32))[1:3],
    "transposed": lambda: tg.from_numpy(np.ones((2, 2), np.float32).T)[0],
    "parameter": lambda: nn.Parameter(tg.from_numpy(ones())).detach(),
    "tensor of numbers": lambda: tg.tensor([1.0, 2.0]),
    "tensor of an array": lambda: tg.tensor(ones()),
    "zeros": lambda: tg.zeros(2),
    "ones_like": lambda: tg.ones_like(KEPT),
    "full": lambda: tg.full((2,), 3.0),
    "arange": lambda: tg.arange(2.0),
    "linspace": lambda: tg.linspace(0, 1, 2),
    "eye": lambda: tg.eye(2)[1],
    "clone of a constant": lambda: KEPT.clone(),
    "clone of one from outside": lambda: tg.from_numpy(ones()).clone(),
    "of a module": lambda: nn.BatchNorm1d(2).running_mean,
}


@pytest.mark.parametrize("name", MADE)
def test_writes_do_not_accumulate_over_the_calls(name: str) -> None:
    def step(x):
        made = MADE[name]()
        before = made * 1
        made.add_(x)
        made.mul_(2)
        return before, made, made * x

    run = tg.compile(step)
    for k in range(5):
        x = tg.tensor([1.0 + k, 2.0])
        for got, wanted in zip(run(x), step(x), strict=True):
            assert got.tolist() == wanted.tolist()
    assert run.captures == 1
    assert KEPT.tolist() == [1, 2]


def test_a_constant_that_is_returned_belongs_to_the_caller() -> None:
    run = tg.compile(lambda: tg.from_numpy(ones()))
    first, second = run(), run()
    second.add_(1)
    assert first.tolist() == run().tolist() == [1, 1]
    assert second.tolist() == [2, 2]


def test_an_array_from_outside_is_shared_with_the_step() -> None:
    """It is read and written where it is, as in eager mode."""
    total = np.zeros(2, np.float32)

    def step(x):
        shared = tg.from_numpy(total)
        shared.add_(x)
        return shared[1:] * 1

    found = []
    for run in (step, tg.compile(step)):
        total[:] = 0
        found.append([run(tg.tensor([1.0, 1.0 * k])).tolist() for k in range(4)])
        found[-1].append(total.tolist())
        total[:] = 10
        found[-1].append(run(tg.tensor([1.0, 1.0])).tolist())
    assert found[0] == found[1] == [[0.0], [1.0], [3.0], [6.0], [4.0, 6.0], [11.0]]


def test_gradients_through_a_constant_that_was_written() -> None:
    w = nn.Parameter(tg.tensor([1.0, 2.0]))

    def step(x):
        w.grad = None
        bias = tg.from_numpy(ones())
        bias.add_(w * x)
        (bias * bias).sum().backward()
        return bias.detach()

    run = tg.compile(step)
    for k in range(4):
        x = tg.tensor([1.0 + k, 2.0])
        bias = run(x)
        assert bias.tolist() == (1 + w.detach() * x).tolist()
        assert w.grad.tolist() == (2 * bias * x).tolist()
