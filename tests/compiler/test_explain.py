"""The text of a program, and `explain`; neither changes any state."""

from __future__ import annotations

import re
import types

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.compiler.explain import explain, flops, nbytes
from tinygrad_mlp.compiler.ir import as_captured


def trained(make=lambda p: optim.SGD(p, lr=0.1, momentum=0.9)):
    tg.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )
    optimizer = make(model.parameters())
    settings, weights = {"scale": 2.0}, np.ones(3, np.float32)
    factor = 0.5

    @tg.compile
    def train_step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y, tg.tensor(weights)) * factor * settings["scale"]
        loss.backward()
        optimizer.step()
        return loss

    x, y = tg.randn(6, 5), tg.randint(0, 3, (6,))
    for _ in range(3):
        train_step(x, y)
    return train_step, model, optimizer, (x, y)


def test_the_text_of_a_program():
    step, *_ = trained()
    lines = str(step.program).split("\n")
    assert max(map(len, lines)) <= 110
    heads = [line for line in lines if not line.startswith(" ")]
    assert heads[:-1] == ["inputs", "state", "forward", "backward", "update"]
    assert re.fullmatch(r"returns %\d+", heads[-1])
    body = "\n".join(lines)
    for pattern in (
        r"x +float32 \(6, 5\)",
        r"y +int64 +\(6,\)",
        r"0\.weight +float32 \(8, 5\)",
        r"optimizer\.lr +float64 \(\) = 0\.1",
        r"rng +int64 +\(2,\)",
        r"  %\d = linear\S*\(x, 0\.weight, 0\.bias.*\) +float32 \(6, 8\)",
        r"= mask\(rng, p=0\.5\) +bool +\(6, 8\)",
        r"mul\S*\(.*0\.5.*\)",
        r"4\.weight\.grad = matmul\S*\(%\S+\.T, %\S+\) +float32 \(3, 8\)",
        r"update_running_stats_\(1\.running_mean, 1\.running_var, 1\.num_batches_tracked,",
        r"sgd_momentum_\(4\.weight, 4\.weight\.grad, 4\.weight\.momentum_buffer, optimizer\.lr,",
    ):
        assert re.search(pattern, body), pattern
    assert "state1" not in body
    numbers = [int(n) for n in re.findall(r"^ +(\d+)  ", body, re.MULTILINE)]
    assert numbers == list(range(1, len(step.program.instructions) + 1))


def test_the_text_of_an_inference_program():
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU()).eval()
    step = tg.compile(model)
    with tg.no_grad():
        step(tg.ones(2, 5))
    lines = str(step.program).split("\n")
    heads = [line.split()[0] for line in lines if line[0] != " "]
    assert heads == ["inputs", "state", "program", "returns"]
    assert lines[1].split() == ["input", "float32", "(2,", "5)"]


def everything(model, optimizer):
    values = [*model.state_dict().values(), *[p.grad for p in model.parameters()]]
    values += [v for p in model.parameters() for v in optimizer.state[p].values()]
    versions = [v.storage.version for v in model.state_dict(keep_vars=True).values()]
    return [v.tolist() for v in values], versions, tg.get_rng_state().tolist()


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_explaining_changes_nothing(name):
    step, model, optimizer, given = trained(lambda p: getattr(optim, name)(p, lr=0.1))
    before = everything(model, optimizer)
    explained = step.explain(peak=1e11, bandwidth=1e10)
    text = str(explained)
    assert everything(model, optimizer) == before
    expected = step.function(*given).item()
    step, model, optimizer, given = trained(lambda p: getattr(optim, name)(p, lr=0.1))
    step.explain(peak=1e11, bandwidth=1e10)
    assert step(*given).item() == expected
    for line in (
        "factor = 0.5",
        "optimizer: which",
        "model: its modes",
        "settings['scale'] = 2.0",
        "weights: the elements of an array (3,)",
        "peak 100 GFLOP/s, bandwidth 10.0 GB/s",
        "a tensor, float32 (3,): 1",
    ):
        assert line in text, line


def test_flops_and_bytes_of_explain():
    a, b = tg.ones(6, 5), tg.ones(5, 7)
    step = tg.compile(lambda a, b: ((a @ b) * 2 + 1).tanh())
    step(a, b)
    product, *chain = as_captured(step.program.instructions)
    assert flops(product) == 2 * 6 * 7 * 5
    assert nbytes(product) == 4 * (6 * 5 + 5 * 7 + 6 * 7)
    assert sum(map(flops, chain)) == 3 * 6 * 7
    explained = explain(step, 1e11, 1e10)
    assert sum(row.flops for row in explained.rows) == (2 * 5 + 3) * 6 * 7
    assert explained.arena <= explained.buffers + 64 * len(step.last.executable.addresses)
    for row in explained.rows:
        assert row.seconds is not None
        assert 0 <= row.seconds < 1
        assert row.kernels >= 1


def test_explain_measures_the_machine():
    step = tg.compile(lambda x: x + 1)
    with pytest.raises(RuntimeError, match="call the compiled function once"):
        step.explain()
    step(tg.ones(3))
    explained = step.explain()
    assert explained.peak > 1e9
    assert explained.bandwidth > 1e8


def test_python_ops_are_marked_and_not_run():
    calls = []

    class Mine(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            calls.append(1)
            return x * 2

    step = tg.compile(lambda x: Mine.apply(x + 1) * 3)
    assert step(tg.ones(2)).tolist() == [12, 12]
    text = str(step.explain(peak=1e11, bandwidth=1e10))
    assert len(calls) == 1
    assert "Mine(%1)  # in Python" in str(step.program)
    assert "in Python, at every run: 1 instructions" in text


def test_values_that_are_read_at_any_depth_are_among_the_guards():
    config, table = types.SimpleNamespace(rate=2.0), np.ones(2, np.float32)

    def helper(x, settings):
        return x * settings.rate + tg.tensor(table)

    step = tg.compile(lambda x: helper(x, config))
    step(tg.ones(2))
    guards = step.explain(peak=1e11, bandwidth=1e10).guards
    assert "config.rate = 2.0" in guards
    assert "table: the elements of an array (2,)" in guards


def test_a_transposed_column_is_printed_so() -> None:
    """A column is contiguous either way, but (8, 1) @ (8, 3) is not a product."""
    weight, x = tg.ones(1, 3, requires_grad=True), tg.ones(8, 3)

    @tg.compile
    def step(x):
        weight.grad = None
        loss = F.linear(x, weight).tanh().sum()
        loss.backward()
        return loss

    step(x)
    assert "weight.grad = matmul(%1.out1.T, x)" in str(step.program)
