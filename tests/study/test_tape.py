"""`tg.study.tape` prints every kind of gradient rule."""

from __future__ import annotations

import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn


class Twice(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def printed(output: tg.Tensor, **names: tg.Tensor) -> list[str]:
    """The lines of a printed tape, with single spaces."""
    return [" ".join(line.split()) for line in str(tg.study.tape(output, names)).splitlines()]


@pytest.fixture
def x() -> tg.Tensor:
    return tg.ones(2, 3, requires_grad=True)


def test_a_rule_of_one_input_stands_below_its_op(x: tg.Tensor) -> None:
    lines = printed((x * 3).exp().sum(), x=x)
    assert lines[:2] == ["leaves", "x float32 (2, 3)"]
    assert lines[3:-1] == [
        "%1 = mul(x, 3) float32 (2, 3)",
        "dL/dx = %1' * 3",
        "%2 = exp(%1) float32 (2, 3)",
        "dL/d%1 = %2' * %2",
        "%3 = sum(%2, dims=(0, 1)) float32 ()",
        "dL/d%2 = %3'",
    ]


def test_views_and_products_are_spelled_as_they_are_written(x: tg.Tensor) -> None:
    lines = printed(x.T @ x, x=x)
    assert "dL/dx = %1'.mT" in lines
    assert "dL/d%1 = %2' @ x.mT" in lines


def test_a_fused_op_shows_its_fast_rule_for_each_input(x: tg.Tensor) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 3))
    loss = F.cross_entropy(model(x), tg.tensor([0, 1]))
    lines = printed(loss, **dict(model.named_parameters()))
    assert "dL/d0.weight = %1'.mT @ leaf1" in lines
    assert any(line.startswith("dL/d1.weight = layer_norm_backward(%2', %1,") for line in lines)
    assert any(line.startswith("dL/d%3 = cross_entropy_backward(%4', %3,") for line in lines)


def test_a_textbook_form_and_a_function_are_named(x: tg.Tensor) -> None:
    assert "dL/dx = prod's textbook form, differentiated: (%1')" in printed(x.prod(), x=x)
    assert "dL/dx = Twice's backward (%1')" in printed(Twice.apply(x), x=x)


def test_a_tensor_without_history_has_an_empty_tape(x: tg.Tensor) -> None:
    assert len(tg.study.tape(x)) == 0
    assert str(tg.study.tape(x)).startswith("an empty tape")
    assert len(tg.study.tape(x.exp().sum())) == 2
