"""What `study.steps` says is what backward does."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.autograd.test_backward import STEPS
from tinygrad_mlp import nn, study
from tinygrad_mlp.autograd.tape import Value


def check(loss: tg.Tensor, leaves: list[tg.Tensor], gradient: Any = None) -> study.Steps:
    """The events add up: to what arrives at each node, and to ``.grad`` of each leaf."""
    steps = study.steps(loss, gradient)
    assert all(leaf.grad is None for leaf in leaves)
    assert str(steps)
    sums: dict[Any, Any] = defaultdict(float)
    for event in steps:
        edge = (id(event.edge[0]), event.edge[1])
        if event.kind in ("seed", "accumulate"):
            if event.before is not None:
                np.testing.assert_array_equal(event.before, sums[edge])
            sums[edge] = sums[edge] + event.value
            if event.kind == "accumulate":
                np.testing.assert_array_equal(event.total, sums[edge])
        elif event.kind == "arrive" or event.kind == "leaf":
            np.testing.assert_array_equal(event.value, sums[edge])
    finals = {id(e.edge[0]): e.value for e in steps if e.kind == "leaf"}
    loss.backward(gradient)
    for leaf in leaves:
        if leaf.grad is None:
            assert id(leaf) not in finals
        else:
            np.testing.assert_array_equal(finals[id(leaf)], leaf.grad.numpy())
    return steps


@given(st.data())
def test_the_sum_of_the_events_is_the_gradient(data: st.DataObject) -> None:
    """Random graphs with broadcasting, views, in-place ops, Functions of several outputs."""
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    leaves = [
        tg.tensor(generator.uniform(-1, 1, shape).astype("float32"), requires_grad=True)
        for shape in ((2, 3), (3,), (2, 1), ())
    ]
    tensors = list(leaves)
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=12)):
        x, y = (data.draw(st.sampled_from(tensors)) for _ in range(2))
        tensors += step(x, y)
    check(
        tensors[-1], leaves, tg.tensor(generator.normal(size=tensors[-1].shape).astype("float32"))
    )


def two_three_one() -> tuple[nn.Sequential, tg.Tensor, tg.Tensor]:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    numbers = [
        [[0.5, -0.25], [0.75, 1], [-1, 0.5]], [0.1, -0.2, -0.3], [[1, -0.5, 2]], [0.1],
    ]  # fmt: skip
    with tg.no_grad():
        for parameter, value in zip(model.parameters(), numbers, strict=True):
            parameter.copy_(tg.tensor(value))
    return model, tg.tensor([[1.0, 2.0]]), tg.tensor([[1.0]])


def test_worked_numbers() -> None:
    """By hand: hidden (0.1, 2.55, -0.3), out -1.075, loss 2.075^2, dL/dout 2 * -2.075 = -4.15."""
    model, x, y = two_three_one()
    with study.watch(model):
        loss = F.mse_loss(model(x), y)
    assert loss.item() == pytest.approx(4.305625, rel=1e-6)
    steps = study.steps(loss, names=model)
    relu = next(node for node in steps.tape.nodes if node.op.name == "relu")

    def value(kind: str, node: Any) -> Any:
        (found,) = [e for e in steps if e.kind == kind and e.node is node]
        return found.value

    (arrived,) = [e.value for e in steps if e.kind == "arrive" and e.edge[0] is relu]
    np.testing.assert_allclose(arrived, [[-4.15, 2.075, -8.30]], rtol=1e-6)
    np.testing.assert_allclose(value("rule", relu), [[-4.15, 2.075, 0]], rtol=1e-6)
    final = {e.name: e.value for e in steps if e.kind == "leaf"}
    np.testing.assert_allclose(
        final["0.weight"], [[-4.15, -8.30], [2.075, 4.15], [0, 0]], rtol=1e-6
    )
    text = str(steps)
    assert "rule         dL/d%1 = where(%2 <= 0, 0, %2') = [[-4.15, 2.075, 0]]" in text
    assert "arrive       %2' = [[-4.15, 2.075, -8.3]]" in text
    assert "leaf         0.weight.grad: [[-4.15, -8.3], [2.075, 4.15], [0, 0]]" in text
    (event,) = [e for e in steps if e.kind == "rule" and e.node is relu]
    assert event.line.startswith("test_steps.py:")
    assert relu.module == "1"


def test_source_lines_and_values_of_a_watched_pass() -> None:
    x = tg.tensor([1.0, -2.0], requires_grad=True)
    with study.watch():
        y = x.exp()
        loss = (y * y).sum()
    node = loss.grad_fn.edges[0][0]
    assert node.source == "loss = (y * y).sum()"
    assert node.line.startswith("test_steps.py:")
    np.testing.assert_allclose(node.inputs[0], np.exp([1, -2]), rtol=1e-6)
    with tg.no_grad():
        x.zero_()
    np.testing.assert_array_equal(node.inputs[0].shape, (2,))
    np.testing.assert_allclose(node.values[0], np.exp([2, -4]), rtol=1e-6)  # a copy
    assert not hasattr((x * 2).grad_fn, "values")  # outside of the block nothing is copied


def test_a_shared_weight_reports_twice() -> None:
    w, x = tg.ones(2, 2, requires_grad=True), tg.ones(1, 2)
    steps = check(F.linear(F.linear(x, w), w).sum(), [w])
    counts = [(e.reported, e.consumers) for e in steps if e.kind == "accumulate" and e.edge[0] is w]
    assert counts == [(1, 2), (2, 2)]


class Half(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x / 2 + y

    @staticmethod
    def backward(ctx, gradient):
        return gradient / 2, None


def test_a_gradient_that_is_none_is_told_from_zero() -> None:
    x, y, z = (tg.ones(2, requires_grad=True) for _ in range(3))
    steps = check((Half.apply(x, y) + z * 0).sum(), [x, y, z])
    none = [e for e in steps if e.kind == "rule" and e.value is None]
    assert [isinstance(e.edge[0], Value) and e.edge[0] is y for e in none] == [True]
    assert "none" in str(none[0])
    (zero,) = [e.value for e in steps if e.kind == "leaf" and e.edge[0] is z]
    np.testing.assert_array_equal(zero, [0, 0])


def test_undone_broadcasting_is_an_event() -> None:
    x, b = tg.ones(4, 3, requires_grad=True), tg.ones(3, requires_grad=True)
    steps = check((x + b).sum(), [x, b])
    (event,) = [e for e in steps if e.kind == "unbroadcast" and e.edge[0] is b]
    assert event.text == "summed over axis 0, (4, 3) to (3,)"
    np.testing.assert_array_equal(event.value, [4, 4, 4])
    (raw,) = [e for e in steps if e.kind == "rule" and e.edge[0] is b]
    assert raw.value is not None
    assert raw.value.shape == (4, 3)


def test_hooks_are_events_and_grad_of_results_stays() -> None:
    x = tg.ones(2, requires_grad=True)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: g + 1)
    loss = y.sum()
    steps = study.steps(loss)
    assert y.grad is None
    assert [e.name for e in steps if e.kind == "hook"] == ["%1", "leaf1"]
    (final,) = [e.value for e in steps if e.kind == "leaf"]
    np.testing.assert_array_equal(final, [7, 7])
    loss.backward()
    assert x.grad.tolist() == [7, 7]
    assert y.grad.tolist() == [2, 2]


def test_what_cannot_be_stepped_is_refused() -> None:
    x = tg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        study.steps(tg.ones(2))
    with pytest.raises(RuntimeError, match="needs a gradient of that shape"):
        study.steps(x * 2)
    loss = x.exp().sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        study.steps(loss)
