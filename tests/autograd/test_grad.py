"""`tg.grad` returns derivatives, also of derivatives; `backward` to chosen inputs."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg


def leaf(*values: float):
    return tg.tensor([float(v) for v in values], requires_grad=True)


def test_grad_returns_and_adds_nothing() -> None:
    x, y = leaf(2.0), leaf(3.0)
    a, b = tg.grad((x * y).sum(), [x, y])
    assert (a.tolist(), b.tolist()) == ([3], [2])
    assert x.grad is None
    assert y.grad is None


def test_grad_by_a_result() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * 3 + x
    by_y, by_x = tg.grad(z.sum(), [y, x])
    assert (by_y.tolist(), by_x.tolist()) == ([3], [13])


def test_grad_of_what_was_not_used() -> None:
    x, y = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match=r"input 1, of shape \(1,\), was not used"):
        tg.grad((x * 2).sum(), [x, y])
    a, b = tg.grad((x * 2).sum(), [x, y], allow_unused=True)
    assert a.tolist() == [2]
    assert b is None


def test_grad_needs_inputs_that_require_it() -> None:
    with pytest.raises(RuntimeError, match=r"input 0, of shape \(2,\), does not require"):
        tg.grad(leaf(1.0).sum(), tg.ones(2))


def test_gradients_of_gradients() -> None:
    x = leaf(2.0)
    (first,) = tg.grad((x**4).sum(), x, create_graph=True)
    (second,) = tg.grad(first.sum(), x, create_graph=True)
    (third,) = tg.grad(second.sum(), x)
    assert (first.item(), second.item(), third.item()) == (32, 48, 48)


def test_backward_with_create_graph_records_the_gradient() -> None:
    x = leaf(3.0)
    (x**3).sum().backward(create_graph=True)
    x.grad.sum().backward()
    assert x.grad.item() == 27 + 18


def test_a_penalty_on_a_gradient() -> None:
    """Gradients inside a loss: its gradient by the weights is checked by differences."""
    generator = np.random.default_rng(0)
    x = tg.tensor(generator.normal(size=(5, 3)))

    def penalty(w, v):
        inputs = x.clone().requires_grad_()
        out = (inputs @ w).tanh() @ v
        (slopes,) = tg.grad(out.sum(), inputs, create_graph=True)
        return (slopes * slopes).sum()

    w = tg.tensor(generator.normal(size=(3, 4)), requires_grad=True)
    v = tg.tensor(generator.normal(size=(4, 1)), requires_grad=True)
    assert tg.gradcheck(penalty, (w, v))


def test_backward_to_inputs_touches_them_and_nothing_else() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    (h * h).sum().backward(inputs=[h])
    assert h.grad.tolist() == [4, 8]
    assert x.grad is None
    a, b = tg.tensor(1.0, requires_grad=True), tg.tensor(1.0, requires_grad=True)
    a.backward(inputs=[b])
    assert a.grad is None
    assert b.grad is None
