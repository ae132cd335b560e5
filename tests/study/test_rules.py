"""The tape prints the rules of every op, and what it prints is the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.ops.harness import arrays_of, example, places_of, results, tensors
from tests.ops.rows import TABLE
from tests.study.formula import value
from tinygrad_mlp import nn
from tinygrad_mlp.autograd.tape import Node
from tinygrad_mlp.autograd.values import as_array, from_array
from tinygrad_mlp.study.page import page_html
from tinygrad_mlp.study.spelling import Call, spell_forward
from tinygrad_mlp.study.watch import WatchedNode

# Gradients that have no formula: a textbook form that runs step by step.
BY_TEXTBOOK = {"prod", "take_batch"}
# The rest of a base after a write to its view, and an op of any number of inputs.
WITHOUT_FORMULA = {"write_region", "cat"}


def check_tape(output: tg.Tensor) -> set[str]:
    """Print the tape, compute each printed rule, compare; return the ops without a formula."""
    tape = tg.study.tape(output)
    assert str(tape)
    opaque = set()
    for node in tape.nodes:
        g = random_gradient(node)
        wanted = node.pullback([from_array(g)], node.edges, False)
        known = {f"{tape.names[id(node)]}'": g, **known_values(tape, node)}
        for k, formula in tape.formulas(node).items():
            if isinstance(formula, Call) and formula.name == "rule":
                opaque.add(node.op.name)
                continue
            with np.errstate(all="ignore"):
                found = np.asarray(value(formula, known))
            layout = node.layouts[k]
            assert found.shape == layout.shape, (node.op.name, k, str(formula))
            right = wanted[k]._sum_to_layout(layout)  # type: ignore[union-attr]
            np.testing.assert_allclose(
                found, as_array(right), rtol=2e-5, atol=1e-6, err_msg=f"{node.op.name} {formula}"
            )
    return opaque


def check_forward(output: tg.Tensor) -> set[str]:
    """Compute each op of a watched pass from its formula; return the ops without one."""
    tape = tg.study.tape(output)
    opaque = set()
    for node in tape.nodes:
        formula = spell_forward(node, tape.symbol_of(node))
        if formula is None or not isinstance(node, WatchedNode):
            opaque.add(node.op.name)
            continue
        known = {
            tape.argument(node, n): x for n, x in zip(node.op.inputs, node.inputs, strict=False)
        }
        with np.errstate(all="ignore"):
            found = value(formula, known)
        message = f"{node.op.name} {formula}"
        np.testing.assert_allclose(found, node.values[0], rtol=2e-5, atol=1e-6, err_msg=message)
    return opaque


def random_gradient(node: Node) -> np.ndarray:
    layout = node.results[0]
    return np.random.default_rng(3).normal(size=layout.shape).astype(layout.dtype)


def known_values(tape: Any, node: Node) -> dict[str, np.ndarray]:
    """The arrays of the names in a node's rules."""
    return {
        tape.argument(node, name): as_array(saved)
        for name, (saved, _) in (node.saved or {}).items()
    }


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row.differentiable])
def test_printed_rules_are_the_gradients(name: str) -> None:
    row = TABLE[name]
    case, seed = example(name, row.differentiable[0])
    arrays = arrays_of(row, case, seed)
    with tg.study.watch():
        outputs = results(row, tensors(arrays, places_of(row, arrays)), case.params)
    for output in outputs:
        if output.requires_grad:
            assert check_tape(output) <= BY_TEXTBOOK
            assert check_forward(output) <= WITHOUT_FORMULA
            page_html(output, None, np.ones(output.shape), "any op")


def test_the_check_notices_a_wrong_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_mlp.study import calculus

    right = calculus.CALCULUS["cross_entropy"]
    monkeypatch.setitem(calculus.CALCULUS, "cross_entropy", lambda *a: right(*a) * 1.01)
    z = tg.randn(4, 3, requires_grad=True)
    with pytest.raises(AssertionError, match="cross_entropy"):
        check_tape(F.cross_entropy(z, tg.tensor([0, 1, 2, 1])))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_calculus_of_label_losses(smoothing: float, weighted: bool, reduction: str) -> None:
    z = tg.randn(4, 3, dtype="float64", requires_grad=True)
    weight = tg.tensor([1.0, 2.0, 0.5], dtype="float64") if weighted else None
    for y in ([0, 1, 2, 1], [0, -100, 2, 1]):
        options = dict(weight=weight, reduction=reduction)
        assert not check_tape(
            F.cross_entropy(z, tg.tensor(y), label_smoothing=smoothing, **options)  # type: ignore[arg-type]
        )
        assert not check_tape(F.nll_loss(z.log_softmax(1), tg.tensor(y), **options))  # type: ignore[arg-type]


def test_layers_in_training_print() -> None:
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LayerNorm(4), nn.Dropout(0.5), nn.Linear(4, 3)
    )
    x = tg.randn(5, 3)
    assert not check_tape(F.cross_entropy(model(x), tg.tensor([0, 1, 2, 1, 0])))
    assert not check_tape(F.nll_loss(model(x).log_softmax(1), tg.tensor([0, 1, 2, 1, 0])))
