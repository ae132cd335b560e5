"""`autograd.Function`: an op defined by a user."""

from __future__ import annotations

import gc
import weakref

import pytest

import tinygrad_mlp as tg


def leaf(*values: float):
    return tg.tensor([float(v) for v in values], requires_grad=True)


class Twice(tg.autograd.Function):
    """x and a number: twice the tensor, the tensor to the power, both differentiable."""

    @staticmethod
    def forward(ctx, x, power=2):
        out = x**power
        ctx.save_for_backward(x, out)
        ctx.power = power
        return x * 2, out

    @staticmethod
    def backward(ctx, g_twice, g_power):
        x, _ = ctx.saved_tensors
        return g_twice * 2 + g_power * ctx.power * x ** (ctx.power - 1), None


def test_a_function_of_several_outputs() -> None:
    x = tg.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    assert tg.gradcheck(lambda x: Twice.apply(x, 3), x)
    a, b = Twice.apply(x, 3)
    (a.sum() + b.sum()).backward()
    assert x.grad.tolist() == [2 + 3, 2 + 12]


def test_an_unused_output_has_gradient_zero() -> None:
    x = leaf(1, 2)
    Twice.apply(x, 3)[1].sum().backward()
    assert x.grad.tolist() == [3, 12]


def test_a_function_is_differentiated_twice() -> None:
    x = tg.tensor([1.5, 2.0], dtype="float64", requires_grad=True)

    def slope(x):
        (g,) = tg.grad(Twice.apply(x, 3)[1].sum(), x, create_graph=True)
        return g

    assert tg.gradcheck(slope, x)


class Exp(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


def test_a_saved_output_is_differentiated_too() -> None:
    x = tg.tensor([0.5, 1.0], dtype="float64", requires_grad=True)
    assert tg.gradcheck(lambda x: tg.grad(Exp.apply(x).sum(), x, create_graph=True)[0], x)


def function(forward, backward):
    """A Function from two functions."""
    return type(
        "Made",
        (tg.autograd.Function,),
        {"forward": staticmethod(forward), "backward": staticmethod(backward)},
    )


def test_none_gradients() -> None:
    first = function(lambda ctx, x, y: x * y, lambda ctx, g: (g, None))
    x, y = leaf(1.0), leaf(2.0)
    first.apply(x, y).sum().backward()
    assert x.grad.tolist() == [1]
    assert y.grad is None


def test_needs_input_grad() -> None:
    seen = []

    def forward(ctx, x, y, z):
        seen.append(ctx.needs_input_grad)
        return x + y

    function(forward, lambda ctx, g: (g, g, None)).apply(leaf(1.0), tg.ones(1), 3)
    assert seen == [(True, False, False)]


@pytest.mark.parametrize("given", [lambda g: (g,), lambda g: (g, g, g)])
def test_a_wrong_number_of_gradients(given) -> None:
    made = function(lambda ctx, x, y: x + y, lambda ctx, g: given(g))
    out = made.apply(leaf(1.0), leaf(2.0))
    with pytest.raises(RuntimeError, match=r"Made.backward returned \d gradients for 2 inputs"):
        out.sum().backward()


@pytest.mark.parametrize("given", [lambda g: tg.ones(3), lambda g: 1.0])
def test_gradients_of_a_wrong_kind(given) -> None:
    made = function(lambda ctx, x: x * 2, lambda ctx, g: given(g))
    out = made.apply(leaf(1.0, 2.0))
    with pytest.raises((RuntimeError, TypeError), match=r"Made.backward.*gradient 0"):
        out.sum().backward()


def test_forward_must_return_tensors() -> None:
    with pytest.raises(TypeError, match=r"Made.forward must return tensors, not float"):
        function(lambda ctx, x: 1.0, lambda ctx, g: g).apply(leaf(1.0))


def test_outputs_marked_non_differentiable() -> None:
    def forward(ctx, x):
        order = x.argsort()
        rest = x * 0
        ctx.mark_non_differentiable(order, rest)
        return x * 2, order, rest

    made = function(forward, lambda ctx, g, h, r: g * 2)
    x = leaf(1.0, 2.0)
    out, order, rest = made.apply(x)
    assert [t.requires_grad for t in (out, order, rest)] == [True, False, False]
    out.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_saved_tensors_must_not_change() -> None:
    x = leaf(1.0)
    y = x * 1
    out, _ = Twice.apply(y, 3)
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"saved tensor 0.*changed in place"):
        out.sum().backward()


def test_an_input_may_be_returned_as_it_is() -> None:
    same = function(lambda ctx, x: x, lambda ctx, g: g * 3)
    x = leaf(1.0)
    y = same.apply(x)
    y.sum().backward()
    assert y is not x
    assert x.grad.tolist() == [3]


def test_a_function_in_no_grad_records_nothing() -> None:
    with tg.no_grad():
        assert not Exp.apply(leaf(1.0)).requires_grad
    assert not Exp.apply(tg.ones(1)).requires_grad


def test_no_reference_cycle(fresh_memory) -> None:
    gc.collect()
    gc.disable()
    try:
        out = Twice.apply(leaf(1, 2))[0]
        node, memory = weakref.ref(out.grad_fn), weakref.ref(out.storage)
        del out
        assert node() is None
        assert memory() is None
    finally:
        gc.enable()


class Cube(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * 3 * x * x


def test_a_function_leaves_no_cycle_behind() -> None:
    gc.collect()
    gc.disable()
    try:
        x = tg.ones(10, requires_grad=True)
        middle = x * 1
        seen = weakref.ref(middle)
        y = Cube.apply(middle).sum()
        y.backward()
        del y, middle
        assert seen() is None
    finally:
        gc.enable()
    assert x.grad.tolist() == [3.0] * 10
