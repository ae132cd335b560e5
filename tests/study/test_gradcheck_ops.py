"""`check_gradients` finds planted bugs, and names the op, the line and the entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.ops.harness import planted
from tinygrad_mlp import nn

DOUBLE = dict(dtype="float64")


def network() -> tuple[Any, list[tg.Tensor]]:
    """A network in float64 as a function of its parameters, away from kinks."""
    tg.manual_seed(1)
    first, second, third = (nn.Linear(n, m, **DOUBLE) for n, m in ((3, 4), (4, 4), (4, 3)))
    model = nn.Sequential(first, nn.Tanh(), second, nn.ReLU(), third)
    x, y = tg.randn(5, 3, **DOUBLE), tg.tensor([0, 2, 1, 1, 0])
    return lambda *_: F.cross_entropy(model(x), y), list(model.parameters())


# Bugs as they are made: a wrong derivative, a forgotten factor, a forgotten sum, a wrong sign.
GALLERY: dict[str, tuple[str, int, Callable[[Any, Any], Any]]] = {
    "the mean's 1/N forgotten": ("cross_entropy", 0, lambda right, g: right * 5),
    "no sum over the batch": ("linear", 2, lambda right, g: g[0]),
    "the weight's gradient negated": ("linear", 1, lambda right, g: -right),
    "ReLU passes everything": ("relu", 0, lambda right, g: g),
    "tanh' is 1 - y": ("tanh", 0, lambda right, g: right * 0.5),
}


@pytest.mark.parametrize("bug", GALLERY)
def test_a_planted_bug_is_found_and_named(bug: str) -> None:
    name, place, change = GALLERY[bug]
    function, parameters = network()
    assert not tg.study.check_gradients(function, parameters).wrong_ops
    with planted(name, place, change):
        report = tg.study.check_gradients(function, parameters)
    assert report.status == "wrong"
    assert {op.op for op in report.wrong_ops} == {name}
    assert "%" in report.wrong_ops[0].call
    assert report.step_sizes is not None
    assert (
        min(abs(q - report.step_sizes.entry.gradient) for q in report.step_sizes.quotients) > 1e-5
    )
    assert f"wrong: {report.wrong_ops[0]}" in str(report)


class WrongTanh(tg.autograd.Function):
    """tanh with the derivative taken of the input: 1 - x * x for 1 - out * out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (1 - x * x)


def test_a_function_of_ones_own_is_named_with_its_line() -> None:
    x = tg.tensor([0.5, 1.0], **DOUBLE, requires_grad=True)

    def loss(x):
        hidden = WrongTanh.apply(x * 2)
        return (hidden * 3).sum()

    report = tg.study.check_gradients(loss, x)
    (op,) = report.wrong_ops
    assert op.call == "%2 = WrongTanh(%1)"
    assert op.line.startswith("test_gradcheck_ops.py:")
    assert op.input == "%1"
    assert (op.entry.index, op.entry.output) == ((0,), (0, (0,)))
    assert (op.entry.gradient, round(op.entry.quotient, 6)) == (0.0, 0.419974)  # 1 - tanh(1)^2
    text = str(report)
    assert "step 1e-05" in text
    assert "%2 = WrongTanh(%1), test_gradcheck_ops.py:" in text
    worst = report.step_sizes
    assert worst is not None
    assert worst.entry.index == (1,)  # gradient 6 * (1 - 4), right 6 * (1 - tanh(2)^2)
    assert worst.entry.gradient == -18.0
    assert worst.quotients[4] == pytest.approx(0.423904, abs=1e-5)


def test_in_place_ops_views_and_several_outputs_are_checked() -> None:
    x = tg.tensor([[0.5, 1.0], [0.25, -0.5]], **DOUBLE, requires_grad=True)

    def function(x):
        y = x * 2
        y[0].mul_(3)
        return y.exp_(), y[:, 1].sum(), (y * x).softmax(1)

    report = tg.study.check_gradients(function, x)
    assert report.status != "wrong", report
    assert not report.wrong_ops
    with planted("exp_", 0, lambda right, g: right * 2):
        assert {op.op for op in tg.study.check_gradients(function, x).wrong_ops} == {"exp_"}
