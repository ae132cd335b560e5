"""Each op's gradient rules are its derivative: against central differences, in float64.

And the check itself is checked: a rule that is 1 % off, or returns zeros, must fail it.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tests.ops.harness import (
    arrays_of,
    check,
    check_row,
    example,
    large_case,
    places_of,
    planted,
    random_like,
    results,
    tensors,
)
from tests.ops.rows import TABLE
from tinygrad_mlp.autograd.op import REGISTRY

SMOOTH = [name for name, row in TABLE.items() if row.differentiable]
RULES = [(name, place) for name in SMOOTH for place in TABLE[name].differentiable]
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data(), seed=SEEDS)
@settings(max_examples=15)
def test_against_differences(name: str, data: st.DataObject, seed: int) -> None:
    row = TABLE[name]
    check_row(row, data.draw(row.strategy), seed)


@pytest.mark.parametrize(("name", "place"), RULES)
def test_a_wrong_rule_fails(name: str, place: int) -> None:
    row = TABLE[name]
    case, seed = example(name, place)
    check_row(row, case, seed)
    wrongs = (
        [lambda right, g: right + 0.01 * g.sum()]
        if row.flat
        else [lambda right, g: right * 1.01, lambda right, g: right * 0]
    )
    for wrong in wrongs:
        with planted(name, place, wrong), pytest.raises(AssertionError, match="difference"):
            check_row(row, case, seed)


def test_every_rule_has_been_planted_with_errors() -> None:
    for name, op in REGISTRY.items():
        planted_places = {place for n, place in RULES if n == name}
        assert op.joint_rule or set(op.rules) == planted_places, name


@pytest.mark.parametrize("name", [n for n in SMOOTH if TABLE[n].second])
@given(data=st.data(), seed=SEEDS)
@settings(max_examples=5)
def test_second_order(name: str, data: st.DataObject, seed: int) -> None:
    """The gradient of the gradient, by the inputs and by the cotangents.

    The differences are those of the fast rule, so this also compares it with the recorded one.
    """
    row = TABLE[name]
    case = data.draw(row.strategy)
    arrays = arrays_of(row, case, seed)
    places = places_of(row, arrays)
    live = [out for out in results(row, tensors(arrays, places), case.params) if out.requires_grad]
    cotangents = [c.numpy() for c in random_like(live, seed)]

    def first_order(create_graph: bool):
        def gradients(*given):
            inputs, weights = given[: len(arrays)], given[len(arrays) :]
            for k in places:
                inputs[k].requires_grad_()
            outputs = [out for out in results(row, inputs, case.params) if out.requires_grad]
            return tg.grad(outputs, [inputs[k] for k in places], weights, create_graph=create_graph)

        return gradients

    everything = [*arrays, *cotangents]
    by = [*places, *range(len(arrays), len(everything))]
    check(first_order(True), everything, by, seed, first_order(False), row.step)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("seed", [1, 2])
def test_float32_is_near_float64(name: str, seed: int) -> None:
    row = TABLE[name]
    case = large_case(row)
    small = arrays_of(row, case, seed, "float32")
    large = [a.astype(float) if a is not None and a.dtype.kind == "f" else a for a in small]
    found, exact = (gradients(row, arrays, case.params, seed) for arrays in (small, large))
    for narrow, wide in zip(found, exact, strict=True):
        assert narrow.dtype == np.float32
        scale = max(abs(wide).max(initial=0), 1e-3)
        np.testing.assert_allclose(narrow, wide, rtol=0, atol=4 * row.float32 * scale)


def gradients(row, arrays, params, seed) -> list[np.ndarray]:
    places = places_of(row, arrays)
    inputs = tensors(arrays, places)
    outputs = [out for out in results(row, inputs, params) if out.requires_grad]
    generator = np.random.default_rng(seed)
    weights = [
        tg.tensor(np.float32(generator.normal(size=out.shape)), dtype=out.dtype) for out in outputs
    ]
    found = tg.grad(outputs, [inputs[k] for k in places], weights)
    return [g.numpy() for g in found]


LARGE = [n for n in SMOOTH if TABLE[n].cases is None and TABLE[n].step == 1e-5]


@pytest.mark.parametrize("name", LARGE)
def test_in_a_random_direction(name: str) -> None:
    """Larger arrays, one number: <gradient, u> is the slope of <c, f(x + t u)> at t = 0."""
    row = TABLE[name]
    shapes = [(67, 35), (35,), (67, 1)]
    generator = np.random.default_rng(5)
    arrays = [d(generator, s) for d, s in zip(row.inputs, shapes, strict=False)]
    places = places_of(row, arrays)
    inputs = tensors(arrays, places)
    (output,) = results(row, inputs, {})
    (cotangent,) = random_like([output], 6)
    found = tg.grad(output, [inputs[k] for k in places], cotangent)
    along = [generator.normal(size=arrays[k].shape) for k in places]

    def value(t: float) -> float:
        moved = list(arrays)
        for k, u in zip(places, along, strict=True):
            moved[k] = arrays[k] + t * u
        return float(np.sum(results(row, tensors(moved), {})[0].numpy() * cotangent.numpy()))

    terms = [g.numpy() * u for g, u in zip(found, along, strict=True)]
    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    size = sum(float(abs(t).sum()) for t in terms)
    assert abs(sum(float(t.sum()) for t in terms) - slope) <= 1e-7 * size + 1e-6


KINKS = [(name, which) for name, row in TABLE.items() for which in row.kinks]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(("name", "which"), KINKS)
def test_kinks(name: str, which: str, create_graph: bool) -> None:
    """Where there is no derivative, or a formula breaks down, the convention of the op holds."""
    row = TABLE[name]
    values, wanted = row.kinks[which]
    case, _ = example(name)
    inputs = [tg.tensor([v] * 3, dtype="float64", requires_grad=True) for v in values]
    (output,) = results(row, inputs, case.params)
    found = tg.grad(output, inputs, tg.ones_like(output), create_graph=create_graph)
    for gradient, slope in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(gradient.detach().numpy(), [slope] * 3)
