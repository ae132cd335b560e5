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
        "dL/d%2 = %3'.expand(2, 3)",
    ]


def test_views_and_products_are_spelled_as_they_are_written(x: tg.Tensor) -> None:
    lines = printed(x.T @ x, x=x)
    assert "dL/dx += %1'.mT" in lines
    assert "dL/d%1 = %2' @ x.mT" in lines
    assert "%1 = transpose(x, dim0=0, dim1=1) float32 (3, 2)" in lines


def test_slices_are_spelled_as_they_are_written(x: tg.Tensor) -> None:
    lines = printed(x[0, 1:] * 2, x=x)
    assert "%1 = x[0, 1:] float32 (2,)" in lines
    assert "dL/dx = slice_backward(%1', shape=(2, 3), key=[0, 1:])" in lines
    assert "%1 = x[:, None, ::2] float32 (2, 1, 2)" in printed(x[:, None, ::2], x=x)
    joined = tg.cat([x, x[:1]])
    assert "dL/d%1 = %2'[2:3]" in printed(joined, x=x)


def test_a_fused_op_prints_calculus(x: tg.Tensor) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 3))
    loss = F.cross_entropy(model(x), tg.tensor([0, 1]))
    lines = printed(loss, **dict(model.named_parameters()))
    assert "dL/d0.weight = %1'.mT @ leaf1" in lines
    h = "(%1 - %2.mean.reshape(2, 1)) * %2.r.reshape(2, 1)"
    assert f"dL/d1.weight = (%2' * {h}).sum(0)" in lines
    assert "dL/d%3 = %4' * (softmax(%3) - onehot(target)) / 2" in lines


def test_undone_broadcasting_is_printed() -> None:
    x, w, b = tg.ones(4, 2), tg.ones(3, 2, requires_grad=True), tg.ones(3, requires_grad=True)
    lines = printed(F.linear(x, w, b), w=w, b=b, x=x)
    assert "%1 = linear(x, w, b) float32 (4, 3)" in lines
    assert "dL/db = %1'.sum(0)" in lines
    column = tg.ones(4, 1, requires_grad=True)
    assert "dL/dcolumn = (%1' * x).sum(1, keepdim=True)" in printed(column * x, x=x, column=column)
    wide = tg.ones(1, 3, dtype="float64", requires_grad=True)
    lines = printed(wide.float() + tg.ones(5, 4, 3), wide=wide)
    assert "dL/dwide = %1'.to(float64)" in lines
    assert "dL/d%1 = %2'.sum_to_size(1, 3)" in lines


def test_accumulation_is_printed(x: tg.Tensor) -> None:
    lines = printed(x * x + x, x=x)
    assert lines[3:] == [
        "%1 = mul(x, x) float32 (2, 3)",
        "dL/dx += %1' * x",
        "dL/dx += %1' * x",
        "%2 = add(%1, x) float32 (2, 3)",
        "dL/d%1 = %2'",
        "dL/dx = %2'",
        "%n' is dL/d%n, the gradient that arrives at line n",
        "+= adds to the gradient that came from a line further down",
    ]


def test_a_model_names_its_parameters(x: tg.Tensor) -> None:
    model = nn.Sequential(nn.Linear(3, 1))
    text = str(tg.study.tape(model(x).sum(), model))
    assert "linear(leaf1, 0.weight, 0.bias)" in text
    assert "dL/d0.bias = %1'.sum(0)" in text


def test_after_backward_the_rules_are_said_to_be_freed(x: tg.Tensor) -> None:
    loss = x.exp().sum()
    loss.backward()
    assert "dL/dx = freed by an earlier backward; pass retain_graph=True to it" in printed(
        loss, x=x
    )


def test_a_node_prints_without_an_address(x: tg.Tensor) -> None:
    assert repr((x @ x.T).grad_fn) == "<node matmul(a, b) -> float32 (2, 2)>"


def test_an_empty_tape_says_why(x: tg.Tensor) -> None:
    assert "this tensor is a leaf" in str(tg.study.tape(x))
    assert "inside no_grad()" in str(tg.study.tape(x.detach() * 2))
    step = tg.compile(lambda x: (x * 2).sum())
    given = tg.ones(2)
    step(given)
    assert "a compiled step returned it" in str(tg.study.tape(step(given)))


def test_a_textbook_form_and_a_function_are_named(x: tg.Tensor) -> None:
    assert "dL/dx = prod's textbook form, differentiated: (%1')" in printed(x.prod(), x=x)
    assert "dL/dx = Twice's backward (%1')" in printed(Twice.apply(x), x=x)


def test_a_tensor_without_history_has_an_empty_tape(x: tg.Tensor) -> None:
    assert len(tg.study.tape(x)) == 0
    assert str(tg.study.tape(x)).startswith("an empty tape")
    assert len(tg.study.tape(x.exp().sum())) == 2
