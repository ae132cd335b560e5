"""`detect_anomaly`: NaN gradients, and writes to saved arrays that the tape cannot see."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.autograd import Function, detect_anomaly


def here() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_write_through_numpy_is_noticed() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with detect_anomaly():
        y, line = x * x, here()
    x.detach().numpy()[0] = 5
    with pytest.raises(RuntimeError, match=rf"`y` of `mul`, recorded .*{__file__}:{line}, was"):
        y.sum().backward()


def test_without_it_the_gradient_is_that_of_the_new_values() -> None:
    """As documented by `Tensor.numpy`."""
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    x.detach().numpy()[0] = 5
    y.sum().backward()
    assert x.grad.tolist() == [10, 4]


def test_a_write_to_a_result_is_noticed() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with detect_anomaly():
        y = x.exp()
    y.detach().numpy()[:] = 0
    with pytest.raises(RuntimeError, match="`out` of `exp`"):
        y.sum().backward()


def test_a_write_to_memory_of_the_user_is_noticed() -> None:
    array = np.ones((2, 3), np.float32).T
    w = tg.ones(2, 4, requires_grad=True)
    with detect_anomaly():
        y = tg.from_numpy(array) @ w
    array += 1
    with pytest.raises(RuntimeError, match="`a` of `matmul`"):
        y.sum().backward()


def test_a_write_to_what_a_function_saved_is_noticed() -> None:
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(None, x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2 * ctx.saved_tensors[1]

    x = tg.tensor([1.0], requires_grad=True)
    with detect_anomaly():
        y = Square.apply(x)
    y.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [2]
    x.detach().numpy()[0] = 5
    with pytest.raises(RuntimeError, match="`saved tensor 1` of `Square`"):
        y.sum().backward()


def test_a_write_to_what_no_gradient_needs_is_no_error() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with detect_anomaly():
        y = (x + 1) * 3
    x.detach().numpy()[0] = 5
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_nan_gradient_names_its_op_and_line() -> None:
    x = tg.tensor([0.0], requires_grad=True)
    with detect_anomaly():
        y, line = x.sqrt(), here()
        z = (y * 0).sum()
    with pytest.raises(RuntimeError, match=rf"input 0 of `sqrt`, recorded .*:{line}, is NaN"):
        z.backward()
    with detect_anomaly(check_nan=False):
        z = (x.sqrt() * 0).sum()
    z.backward()
    assert np.isnan(x.grad.item())


def test_an_error_of_a_rule_has_the_line_as_a_note() -> None:
    x = tg.tensor([1.0], requires_grad=True)
    with detect_anomaly():
        y = x * 1
        z, line = y * y, here()
    y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place") as raised:
        z.sum().backward()
    assert raised.value.__notes__ == [
        f"`mul` was recorded in {test_an_error_of_a_rule_has_the_line_as_a_note.__name__}, "
        f"{__file__}:{line}"
    ]


def test_gradients_are_the_same_inside_and_nothing_is_checked_outside() -> None:
    def gradients() -> list[list[float]]:
        x = tg.linspace(-1, 1, 6).requires_grad_()
        (g,) = tg.grad((tg.softmax(x.reshape(2, 3), 1) ** 2).sum(), x, create_graph=True)
        (g * g).sum().backward()
        return [g.tolist(), x.grad.tolist()]

    outside = gradients()
    with detect_anomaly(), detect_anomaly(False):
        assert gradients() == outside
    x = tg.ones(1, requires_grad=True)
    assert not hasattr((x * x).grad_fn, "line")


def test_a_compiled_step_refuses_it() -> None:
    @tg.compile
    def step(x):
        with detect_anomaly():
            return x * 2

    with pytest.raises(tg.CaptureError, match="detect_anomaly"):
        step(tg.ones(2))
