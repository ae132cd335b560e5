"""`tg.gradcheck` finds wrong gradients, and changes nothing."""

from __future__ import annotations

import pytest

import tinygrad_mlp as tg


def test_gradcheck_leaves_its_inputs_alone_where_the_function_raises() -> None:
    x = tg.tensor([1.0, 2.0], dtype="float64", requires_grad=True)

    def fails_when_moved(x):
        if x.detach().tolist() != [1.0, 2.0]:
            raise RuntimeError("moved")
        return x * x

    with pytest.raises(RuntimeError, match="moved"):
        tg.gradcheck(fails_when_moved, x)
    assert x.tolist() == [1.0, 2.0]


class Wrong(tg.autograd.Function):
    """The square, with a gradient that is wrong in its second element."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * x * tg.tensor([2.0, 2.1], dtype="float64")


def test_a_wrong_gradient_is_found_and_described() -> None:
    x = tg.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    message = r"input 0 \(shape \(2,\)\) at index \(1,\): the gradient is .*, relative error 0.05"
    with pytest.raises(tg.study.GradcheckError, match=message):
        tg.gradcheck(Wrong.apply, x)
    assert tg.gradcheck(Wrong.apply, x, raise_exception=False) is False
    assert tg.gradcheck(Wrong.apply, x, rtol=0.1)


def test_what_cannot_be_checked_is_refused() -> None:
    leaf = tg.ones(2, dtype="float64", requires_grad=True)
    with pytest.raises(TypeError, match="input 0 is float32; differences need float64"):
        tg.gradcheck(tg.exp, tg.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="no input requires a gradient"):
        tg.gradcheck(tg.exp, tg.ones(2, dtype="float64"))
    with pytest.raises(ValueError, match="input 0 is not a leaf"):
        tg.gradcheck(tg.exp, leaf * 2)
    with pytest.raises(ValueError, match="no output of the function requires a gradient"):
        tg.gradcheck(lambda x: x.detach(), leaf)
