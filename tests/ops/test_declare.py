"""Mistakes in the declaration of an elementwise op have errors that show the right way."""

from __future__ import annotations

import importlib
import math
import pkgutil

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import ops
from tinygrad_mlp.autograd.op import REGISTRY, Op
from tinygrad_mlp.kernels.codegen import expression
from tinygrad_mlp.ops.elementwise.declare import Elementwise


def declare(formula, name="of_the_test", **rules):
    return Elementwise(name, formula, public=False, register=False, **rules)


@pytest.mark.parametrize("function", [math.exp, np.exp, np.tanh, lambda x: math.pow(x, 2)])
def test_a_function_of_numbers_in_a_formula(function):
    op = declare(lambda x: 1 + function(x))
    with pytest.raises(TypeError, match=r"its formula, .*test_declare.py:\d+, .*`expression.exp`"):
        op(tg.ones(2))
    with pytest.raises(TypeError, match="'of_the_test'"):
        op.document()


@pytest.mark.parametrize("function", [math.exp, np.exp])
def test_a_function_of_numbers_in_a_rule(function):
    op = declare(lambda x: expression.exp(x), x=lambda g, x: g * function(x))
    x = tg.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"its rule, .* a rule uses ops such as `tg.exp`"):
        op(x).sum().backward()


def _half(x):
    return expression.exp(x) / 2


RULES_OF_EXPRESSIONS = {
    "product": lambda g, x: g * expression.exp(x),
    "alone": lambda g, x: expression.exp(x),
    "of g": lambda g, x: expression.maximum(g, 0),
    "inside an op": lambda g, x: g * tg.exp(expression.log(x)),
    "in a condition": lambda g, x: tg.where(expression.exp(x) > 1, g, 0),
    "in a helper": lambda g, x: g + _half(x),
    "negated": lambda g, x: -(1 + expression.exp(x)) * g,
}


@pytest.mark.parametrize("name", RULES_OF_EXPRESSIONS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_of_expressions_is_refused_by_the_first_backward(name, create_graph):
    """It would run as a kernel, and so pass `gradcheck`, but not with tensors."""
    op = declare(lambda x: expression.exp(x), x=RULES_OF_EXPRESSIONS[name])
    x = tg.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"calls a function of `expression`.*write it with ops"):
        op(x).sum().backward(create_graph=create_graph)


def test_a_rule_of_ops_has_second_derivatives():
    op = declare(lambda x: expression.exp(x) * 3, x=lambda g, x: g * tg.exp(x) * 3)
    x = tg.tensor([0.5], dtype=tg.float64, requires_grad=True)
    (g,) = tg.grad(op(x).sum(), x, create_graph=True)
    (second,) = tg.grad(g.sum(), x)
    assert second.item() == pytest.approx(3 * math.exp(0.5), rel=1e-14)


def test_a_branch_in_a_formula_has_its_own_message():
    op = declare(lambda x: x if x > 0 else 0)
    with pytest.raises(TypeError, match="cannot branch on `x > 0`; write where") as raised:
        op(tg.ones(2))
    assert "np.exp" not in str(raised.value)


@pytest.mark.parametrize("name", ["backward", "grad", "shape", "exp", "node", "storage"])
def test_a_name_that_tensors_have_already(name):
    before, registered = getattr(tg.Tensor, name, None), dict(REGISTRY)
    with pytest.raises(ValueError, match=f"op '{name}': tensors have an attribute '{name}' alre"):
        Elementwise(name, lambda x: x + 1, public=False, method=True)
    with pytest.raises(ValueError, match="choose another name, or pass method=False"):
        Op("of_the_test", ("x",), method=name)
    assert getattr(tg.Tensor, name, None) is before
    assert registered == REGISTRY


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.walk_packages(ops.__path__, f"{ops.__name__}.")]
)
def test_an_op_has_the_name_of_its_variable(module):
    named = {"_put": "put_", "_set_slice": "set_slice_", "_embed": "slice_backward"}
    for variable, op in vars(importlib.import_module(module)).items():
        if isinstance(op, Op):
            assert op.name == named.get(variable, variable.lstrip("_"))


def test_a_new_name_becomes_a_method():
    try:
        op = Elementwise("of_the_test", lambda x: x + 1, public=False, method=True, register=False)
        assert tg.ones(2).of_the_test().tolist() == [2, 2]
        assert tg.Tensor.of_the_test is op
    finally:
        del tg.autograd.tape.Value.of_the_test
