"""Elementwise kernels over any shapes and strides, without writes to other memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_mlp as tg
from tinygrad_mlp.kernels.codegen import expression
from tinygrad_mlp.kernels.codegen.elementwise import Formula, Operand, source
from tinygrad_mlp.kernels.runtime.layout import broadcast_strides, coalesce, dense


@st.composite
def strided(draw, shape: tuple[int, ...]):
    """Return a tensor of a shape, with gaps, permuted, or reversed in memory, and its array."""
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -2])) for _ in shape]
    memory = np.random.default_rng(draw(st.integers(0, 9))).normal(
        size=[shape[k] * abs(steps[k]) for k in order]
    )
    a = memory.transpose(np.argsort(order))[(*(slice(None, None, s) for s in steps), ...)]
    assert a.shape == shape
    return tg.from_numpy(a), a


@given(
    data=st.data(),
    shapes=npst.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=5),
)
@settings(max_examples=200)
def test_any_strides(data: st.DataObject, shapes) -> None:
    (x, a), (y, b) = (data.draw(strided(shape)) for shape in shapes.input_shapes)
    found = x - y
    assert found.shape == shapes.result_shape
    assert found.is_contiguous()
    np.testing.assert_array_equal(found.numpy(), a - b)


@given(data=st.data(), shape=npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3))
@settings(max_examples=100)
def test_any_strides_in_place(data: st.DataObject, shape: tuple[int, ...]) -> None:
    (x, a), (y, b) = data.draw(strided(shape)), data.draw(strided(shape))
    wanted = a - b
    x.sub_(y)
    np.testing.assert_array_equal(x.numpy(), wanted)
    np.testing.assert_array_equal(a, wanted)


@given(data=st.data(), sizes=st.lists(st.integers(0, 4), max_size=4))
@settings(max_examples=200)
def test_merged_axes_lead_to_the_same_elements(data: st.DataObject, sizes: list[int]) -> None:
    shape = tuple(sizes)
    steps = st.tuples(*[st.sampled_from([0, 8, -8, 16, 32, 8 * (n or 1)]) for n in shape])
    operands = [data.draw(steps), dense(shape, np.dtype(float)).strides]
    merged_sizes, merged = coalesce(shape, operands)
    assert 1 not in merged_sizes
    for before, after in zip(operands, merged, strict=True):
        assert offsets(shape, before) == offsets(merged_sizes, after)


def offsets(shape, steps) -> list[int]:
    """Return the offset of each element, in C order."""
    return [sum(i * s for i, s in zip(place, steps, strict=True)) for place in np.ndindex(*shape)]


def test_broadcast_strides_are_numpys() -> None:
    for own, shape in [((3, 1), (2, 3, 4)), ((), (2, 2)), ((1,), (5,)), ((4,), (3, 4))]:
        layout = dense(own, np.dtype(float))
        theirs = np.broadcast_to(np.empty(own), shape).strides
        ours = broadcast_strides(layout, shape)
        assert [a for a, n in zip(ours, shape, strict=True) if n > 1] == [
            b for b, n in zip(theirs, shape, strict=True) if n > 1
        ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 31, 1000, 4099])
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_share_rows_or_a_row(
    size: int, threads: int, use_threads: Callable[[int], None]
) -> None:
    """More threads than rows or elements: each still computes its part, once."""
    use_threads(threads)
    for shape in [(size,), (2, size), (size, 2)]:
        a = np.random.default_rng(0).normal(size=shape)
        x = tg.tensor(a)
        np.testing.assert_array_equal((x * 3).numpy(), a * 3)
        y = x.T
        np.testing.assert_array_equal((y - 1).numpy(), a.T - 1)
        x.add_(1)
        np.testing.assert_array_equal(x.numpy(), a + 1)


def test_a_kernel_reads_as_python_and_computes_shared_parts_once() -> None:
    formula = Formula(
        "demo",
        ("g", "x"),
        (("result", expression.trace(lambda g, x: g * expression.tanh(x) + expression.tanh(x))),),
    )
    text = source(
        formula, tuple(Operand(n, "float32", "c") for n in ("g", "x", "result")), "float32"
    )
    compile(text, "demo", "exec")
    assert text.split('"""')[2].count("tanh(") == 1
    assert "demo(g, x): result = g * tanh(x) + tanh(x)" in text


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (lambda g, out: g * (1 - out * out), "g * (1 - out * out)"),
        (lambda x, y: -(x + y) * x, "-(x + y) * x"),
        (lambda x, y: x - (y - x), "x - (y - x)"),
        (lambda x, y: x / (y * x), "x / (y * x)"),
        (lambda x: x**-x, "x ** (-x)"),
        (lambda x, y: -x * (y // x), "-x * (y // x)"),
        (lambda x, y: x * (y / x), "x * (y / x)"),
        (lambda x, y: x + (y - x) + (x + y), "x + y - x + x + y"),
        (lambda x, y: (x == y) == (x < y), "(x == y) == (x < y)"),
        (lambda x, y: (x**y) ** x, "(x ** y) ** x"),
        (lambda x: 2 ** expression.exp(x), "2 ** exp(x)"),
        (
            lambda x, y: expression.where((x > y) & (x != 0), x, y),
            "where((x > y) & (x != 0), x, y)",
        ),
        (lambda x: x * -1, "x * -1"),
    ],
)
def test_formulas_print_as_mathematics(formula, text: str) -> None:
    """Evaluating the printed text as Python gives the same values."""
    assert str(expression.trace(formula)) == text
    names = formula.__code__.co_varnames[: formula.__code__.co_argcount]
    functions = {"exp": expression.exp, "where": expression.where}
    again = eval(f"lambda {', '.join(names)}: {text}", functions)
    assert str(expression.trace(again)) == text


def test_a_formula_cannot_branch_on_values() -> None:
    with pytest.raises(TypeError, match="cannot branch on `x > 0`"):
        expression.trace(lambda x: x if x > 0 else -x)
