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


def test_numbers_are_those_of_the_function() -> None:
    """(x^2)' with a factor 3/4 forgotten nowhere: at 0.375 the derivative is 0.75."""

    class Doubled(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient * 4 * x

    x = tg.tensor([0.375, 1.0], dtype="float64", requires_grad=True)
    message = r"the gradient is 1.5, the difference quotient 0.75, .*1 \(of output 0 at \(0,\)\)"
    with pytest.raises(tg.study.GradcheckError, match=message) as error:
        tg.gradcheck(Doubled.apply, x)
    assert "2 of 4 entries are wrong" in str(error.value)
    report = tg.study.check_gradients(lambda x: Doubled.apply(x).sum(), x)
    assert [round(e.quotient, 6) for e in report.entries] == [0.75, 2.0]
    assert [e.gradient for e in report.entries] == [1.5, 4.0]
    assert report.status == "wrong"


def test_a_kink_is_no_error() -> None:
    x = tg.tensor([0.0, -1.0, 2.0], dtype="float64", requires_grad=True)
    for function in (
        tg.relu,
        tg.abs,
        lambda x: tg.maximum(x, x.detach() * 0),
        lambda x: x.abs().sum(),
    ):
        assert tg.gradcheck(function, x)
        report = tg.study.check_gradients(function, x)
        assert report.status == "kink", report
    by_index = {
        e.index: e.status for e in tg.study.check_gradients(lambda x: x.relu().sum(), x).entries
    }
    assert by_index == {(0,): "kink", (1,): "right", (2,): "right"}
    beside = tg.tensor([1e-9, -1e-7, 3e-7], dtype="float64", requires_grad=True)
    assert tg.gradcheck(tg.relu, beside)


@pytest.mark.parametrize("slope", [-0.01, 1.01, 3.0])
def test_no_slope_of_either_side_is_wrong_at_a_kink(slope: float) -> None:
    class Relu(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.relu()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * slope

    x = tg.tensor([0.0], dtype="float64", requires_grad=True)
    assert tg.gradcheck(Relu.apply, x, raise_exception=False) is False


def test_a_jump_and_a_smooth_bend_are_no_kinks() -> None:
    x = tg.tensor([0.0], dtype="float64", requires_grad=True)
    assert not tg.gradcheck(lambda x: (x * 1e4).floor() + x, x, raise_exception=False)

    class Bend(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 1e4 * x * x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 1e-3

    assert not tg.gradcheck(Bend.apply, x, raise_exception=False)


def test_too_flat_to_tell() -> None:
    x = tg.tensor([36.0, 0.5], dtype="float64", requires_grad=True)
    report = tg.study.check_gradients(tg.sigmoid, x)
    statuses = {(e.index, e.output): e.status for e in report.entries}
    assert statuses[(0,), (0, (0,))] == "flat"
    assert statuses[(1,), (0, (1,))] == "right"
    assert statuses[(0,), (0, (1,))] == "right"  # exactly zero, both
    assert "too flat to tell" in str(report)
