"""What a review of the tape found, held so that it stays mended."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_mlp as tg


class Cube(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * 3 * x * x


def test_a_function_leaves_no_cycle_behind():
    gc.collect()
    gc.disable()
    try:
        x = tg.tensor(np.ones(10), requires_grad=True)
        middle = x * 1
        seen = weakref.ref(middle)
        y = Cube.apply(middle).sum()
        y.backward()
        del y, middle
        assert seen() is None
    finally:
        gc.enable()
    assert x.grad.tolist() == [3.0] * 10


def test_backward_to_inputs_touches_them_and_nothing_else():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    (h * h).sum().backward(inputs=[h])
    assert h.grad.tolist() == [4, 8]
    assert x.grad is None
    a, b = tg.tensor(1.0, requires_grad=True), tg.tensor(1.0, requires_grad=True)
    a.backward(inputs=[b])
    assert a.grad is None
    assert b.grad is None


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (lambda g: tg.ones(5), ValueError, r"float32 \(5,\) in place of float32 \(2,\)"),
        (lambda g: g.double(), ValueError, "float64"),
        (lambda g: 3.0, TypeError, "float"),
    ],
)
@pytest.mark.parametrize("on_leaf", [True, False])
def test_what_a_hook_returns_is_checked(returned, error, match, on_leaf):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    (x if on_leaf else y).register_hook(returned)
    with pytest.raises(error, match=match):
        (y * y).sum().backward()
    assert x.grad is None


def test_set_grad_enabled_works_as_a_call_a_block_and_a_decorator():
    assert tg.is_grad_enabled()
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    with tg.set_grad_enabled(False):
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()

    @tg.set_grad_enabled(False)
    def mode():
        return tg.is_grad_enabled()

    assert tg.is_grad_enabled()
    assert mode() is False
    assert tg.is_grad_enabled()


def test_no_grad_reaches_into_generators_and_not_out_of_them():
    @tg.no_grad()
    def modes():
        sent = yield tg.is_grad_enabled()
        yield sent, tg.is_grad_enabled()
        return "done"

    steps = modes()
    assert next(steps) is False
    assert tg.is_grad_enabled()
    assert steps.send("sent") == ("sent", False)
    with pytest.raises(StopIteration, match="done"):
        next(steps)


def test_backward_from_a_view_whose_base_was_written_to():
    w = tg.tensor(3.0, requires_grad=True)
    x = tg.tensor([1.0, 2.0])
    first = x[0]
    x.mul_(w)
    first.backward()
    assert w.grad.item() == 1


def test_data_is_read_and_written_off_the_tape():
    w = tg.ones(2, requires_grad=True)
    w.data -= 0.5
    w.data = w.data * 4
    assert w.tolist() == [2, 2]
    assert w.is_leaf
    assert w.requires_grad
    assert not w.data.requires_grad
