"""Whether to tape, and `tg.grad`: derivatives returned instead of added up."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import tinygrad_mlp as tg


def leaf(*values: float):
    return tg.tensor([float(v) for v in values], requires_grad=True)


# --- modes ---


def test_no_grad_and_enable_grad_nest() -> None:
    x = leaf(1.0)
    with tg.no_grad():
        assert not (x * 2).requires_grad
        with tg.enable_grad():
            assert (x * 2).requires_grad
            with tg.set_grad_enabled(False):
                assert not tg.is_grad_enabled()
            assert tg.is_grad_enabled()
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_modes_decorate_functions() -> None:
    @tg.no_grad()
    def forward(x, depth=2):
        """Doc."""
        return forward(x, depth - 1) if depth else x * 2

    x = leaf(1.0)
    assert not forward(x).requires_grad
    assert tg.is_grad_enabled()
    assert (forward.__name__, forward.__doc__) == ("forward", "Doc.")
    with tg.no_grad():
        assert tg.enable_grad()(lambda: x * 2)().requires_grad


def test_modes_are_restored_after_an_error() -> None:
    with pytest.raises(KeyError), tg.no_grad():
        raise KeyError
    assert tg.is_grad_enabled()


def test_grad_mode_is_each_threads_own() -> None:
    inside, leave, seen = threading.Event(), threading.Event(), []

    @tg.no_grad()
    def hold():
        inside.set()
        leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    seen.append(tg.is_grad_enabled())
    with tg.no_grad():
        hold_too = threading.Thread(target=hold)
        hold_too.start()
        leave.set()
        thread.join()
        hold_too.join()
        seen.append(tg.is_grad_enabled())
    assert seen == [True, False]
    assert tg.is_grad_enabled()


def test_a_decorator_shared_by_threads_restores_each_ones_mode() -> None:
    """Entered by one that tapes and one that does not, and left in the order entered."""
    steps = [threading.Event() for _ in range(3)]

    @tg.no_grad()
    def work(mine: threading.Event, go: threading.Event):
        mine.set()
        go.wait(10)

    after = {}

    def untaped():
        with tg.no_grad():
            work(steps[1], steps[2])

    def taped():
        work(steps[0], steps[1])  # leaves while the other is inside
        after["taped"] = tg.is_grad_enabled()
        steps[2].set()

    first = threading.Thread(target=taped)
    first.start()
    steps[0].wait(10)
    second = threading.Thread(target=untaped)
    second.start()
    first.join()
    second.join()
    assert after == {"taped": True}


def test_detach_shares_memory_but_no_history() -> None:
    x = leaf(1, 2)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.is_leaf
    d = x.detach()
    with tg.no_grad():
        d.add_(1)
    assert x.tolist() == [2, 3]
    assert (x * d).requires_grad


# --- tg.grad ---


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


def test_backward_with_create_graph_tapes_grad() -> None:
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
