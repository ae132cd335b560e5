"""One compiled function called from several threads, for several sizes, from another."""

from __future__ import annotations

import threading

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.compiler.training import data
from tinygrad_mlp import nn


def test_threads_call_one_compiled_function():
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))
    step = tg.compile(model)
    failures = []

    def work(seed):
        x, _ = data(seed)
        with tg.no_grad():
            expected = model(x).tolist()
            for _ in range(200):
                if step(x).tolist() != expected:
                    failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_inference_for_several_batch_sizes():
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).eval()
    step = tg.compile(model)
    with tg.no_grad():
        for n in (1, 4, 1, 7, 4):
            x, _ = data(n, n)
            assert step(x).tolist() == model(x).tolist()
            assert step(x.numpy()).tolist() == model(x).tolist()
    assert step.captures == 6


def test_a_compiled_function_inside_another():
    model = nn.Linear(5, 3)
    inner = tg.compile(model)
    x, y = data()
    with tg.no_grad():
        inner(x)

    @tg.compile
    def step(x, y):
        model.zero_grad()
        loss = F.cross_entropy(inner(x), y)
        loss.backward()
        return loss

    for k in range(3):
        x, y = data(k)
        assert step(x, y).item() == F.cross_entropy(model(x), y).item()
        expected = tg.grad(F.cross_entropy(model(x), y), [model.weight])[0]
        assert model.weight.grad.tolist() == expected.tolist()
