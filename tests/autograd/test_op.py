"""A declaration is all that a scalar function needs: the rest follows from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.autograd.op import REGISTRY, UFUNCS, Op
from tinygrad_mlp.autograd.tape import Value
from tinygrad_mlp.kernels.codegen import expression
from tinygrad_mlp.ops.elementwise.declare import Elementwise, elementwise

A, B = np.array([3.0, -5.0]), np.array([4.0, 12.0])


@pytest.fixture
def hypot() -> Iterator[Elementwise]:
    """A new scalar op; forgotten after the test."""
    yield elementwise(
        "hypot",
        lambda x, y: expression.sqrt(x * x + y * y),
        dtype="float",
        about="The length of the vector (x, y).",
        x=lambda g, out, x: g * x / out,
        y=lambda g, out, y: g * y / out,
    )
    del REGISTRY["hypot"], UFUNCS[np.hypot], Value.hypot
    vars(tg).pop("hypot", None)


def leaves() -> list[tg.Tensor]:
    return [tg.tensor(a, requires_grad=True) for a in (A, B)]


def test_a_declared_op_is_a_function_a_method_and_a_ufunc(hypot: Elementwise) -> None:
    x, y = leaves()
    for result in (hypot(x, y), tg.hypot(x, y), x.hypot(y), np.hypot(x, y), np.hypot(A, y)):
        np.testing.assert_allclose(result.detach().numpy(), [5, 13])
        assert result.grad_fn.op is hypot
    np.testing.assert_allclose(x.hypot(4.0).detach().numpy()[0], 5)
    assert "hypot(x, y) = sqrt(x * x + y * y)" in tg.hypot.__doc__
    assert "dL/dx = g * x / out" in tg.hypot.__doc__


def test_a_declared_op_has_right_gradients_of_both_orders(hypot: Elementwise) -> None:
    assert tg.gradcheck(lambda x, y: x.hypot(y), leaves())

    def slope(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        return tg.grad(x.hypot(y).sum(), x, create_graph=True)[0]

    assert tg.gradcheck(slope, leaves())


def test_a_declared_op_compiles(hypot: Elementwise) -> None:
    weight = tg.ones(2, requires_grad=True)

    @tg.compile
    def step(x: tg.Tensor) -> tg.Tensor:
        weight.grad = None
        loss = (weight * 3).hypot(x).exp().sum()
        loss.backward()
        return loss

    x = tg.tensor([4.0, 4.0])
    eager, gradient = step(x).item(), weight.grad.tolist()
    for _ in range(3):
        assert (step(x).item(), weight.grad.tolist()) == (eager, gradient)
    assert step.specializations
    assert eager == pytest.approx(2 * np.exp(5), rel=1e-5)


def test_an_undeclared_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'tinygrad_mlp' has no attribute 'hypot'"):
        tg.hypot  # noqa: B018
    with pytest.raises(AttributeError, match="'hypot'"):
        tg.ones(1).hypot  # noqa: B018
    with pytest.raises(AttributeError, match="'huber'"):  # registered, but not public
        tg.huber  # noqa: B018
    with pytest.raises(TypeError, match=r"np\.hypot cannot be"):
        np.hypot(tg.ones(1, requires_grad=True), 1.0)


def test_a_name_is_taken_once(hypot: Elementwise) -> None:
    with pytest.raises(ValueError, match="an op named 'hypot' exists already"):
        Op("hypot", ("x",))


def test_a_joint_rule_is_kept_apart_from_the_rules_of_inputs() -> None:
    assert REGISTRY["mul"].joint_rule is None
    assert set(REGISTRY["mul"].rules) == {0, 1}
    assert REGISTRY["batch_norm"].joint_rule is not None
    assert REGISTRY["batch_norm"].rules == {}
    assert not REGISTRY["eq"].has_gradient


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"x": lambda x: 3 * x * x}, r"the rule of 'x' takes \(x\); the first is g"),
        ({"x": lambda g, z: g * z}, r"takes \(g, z\).*others can be: x, out, x_shape"),
        ({"y": lambda g: g}, "has a rule for 'y'; its inputs are: x"),
    ],
)
def test_a_wrong_rule_is_refused_when_it_is_declared(rules: dict, message: str) -> None:
    """Without this check the first of these gives a wrong gradient."""
    with pytest.raises(ValueError, match=message):
        elementwise("cube", lambda x: x * x * x, register=False, public=False, **rules)
