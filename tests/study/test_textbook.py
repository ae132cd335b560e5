"""The engine equals reverse mode of one page (``study/textbook.py``) on random networks."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp.study import textbook

Text = textbook.Tensor
SHAPES = st.sampled_from([(4, 3), (3,), (1, 3), (4, 1), ()])


def leaves(arrays: list[np.ndarray]) -> tuple[list[Text], list[tg.Tensor]]:
    return (
        [Text(a) for a in arrays],
        [tg.tensor(a, dtype="float64", requires_grad=True) for a in arrays],
    )


def compare(text: Text, engine: tg.Tensor, texts: list[Text], engines: list[Any]) -> None:
    """The result, and the gradient of every leaf."""
    np.testing.assert_allclose(text.data, engine.detach().numpy(), rtol=1e-12, atol=1e-12)
    text.backward()
    engine.backward()
    for mine, theirs in zip(texts, engines, strict=True):
        wanted = np.zeros(mine.data.shape) if theirs.grad is None else theirs.grad.numpy()
        size = abs(wanted).max(initial=1.0)  # differences of large numbers leave rounding
        np.testing.assert_allclose(mine.grad, wanted, rtol=1e-10, atol=1e-12 * size)


@given(st.data())
def test_random_networks(data: st.DataObject) -> None:
    """Layers of any width, any activation, weights shared or not, both losses."""
    rows, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    arrays = [generator.uniform(-1, 1, (rows, width))]
    steps: list[tuple[int, str]] = []  # the place of the layer's weight, and its activation
    for _ in range(data.draw(st.integers(1, 4))):
        activation = data.draw(st.sampled_from(["relu", "tanh", "sigmoid", "exp"]))
        shared = [k for k, _ in steps if arrays[k].shape == (width, width)]
        if shared and data.draw(st.booleans()):
            steps.append((shared[0], activation))
            continue
        wider = data.draw(st.integers(1, 4))
        steps.append((len(arrays), activation))
        arrays += [generator.uniform(-1, 1, (wider, width)), generator.uniform(-1, 1, wider)]
        width = wider
    texts, engines = leaves(arrays)
    x, y = texts[0], engines[0]
    for k, activation in steps:
        x = getattr(x @ texts[k].transpose() + texts[k + 1], activation)()
        y = getattr(F.linear(y, engines[k], engines[k + 1]), activation)()
    if data.draw(st.booleans()):
        labels = generator.integers(0, width, rows)
        compare(x.cross_entropy(labels), F.cross_entropy(y, tg.tensor(labels)), texts, engines)
    else:
        target = generator.uniform(-1, 1, (rows, width))
        error = x - Text(target)
        compare((error * error).mean(), F.mse_loss(y, tg.tensor(target)), texts, engines)


STEPS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "square": lambda x, y: x * x,
    "div": lambda x, y: x / (y * y).tanh().exp(),
    "exp": lambda x, y: (-(x * x)).exp(),
    "log": lambda x, y: (x.tanh().exp() + y.tanh().exp()).log(),
    "mean": lambda x, y: x.mean() * y,
}


@given(st.data())
def test_random_graphs_with_broadcasting(data: st.DataObject) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shapes = data.draw(st.lists(SHAPES, min_size=2, max_size=4))
    arrays = [np.asarray(generator.uniform(0.5, 1.5, shape)) for shape in shapes]
    texts, engines = leaves(arrays)
    xs, ys = list(texts), list(engines)
    for name in data.draw(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6)):
        i, j = (data.draw(st.integers(0, len(xs) - 1)) for _ in range(2))
        xs.append(STEPS[name](xs[i], xs[j]))
        ys.append(STEPS[name](ys[i], ys[j]))
    compare(xs[-1].sum(), ys[-1].sum(), texts, engines)


def test_worked_numbers() -> None:
    """By hand: see ``test_steps.py``, which has the same network."""
    x, y = Text([[1, 2]]), Text([[1]])
    w1, b1 = Text([[0.5, -0.25], [0.75, 1], [-1, 0.5]]), Text([0.1, -0.2, -0.3])
    w2, b2 = Text([[1, -0.5, 2]]), Text([0.1])
    error = (x @ w1.transpose() + b1).relu() @ w2.transpose() + b2 - y
    loss = (error * error).mean()
    loss.backward()
    assert loss.data == pytest.approx(4.305625)
    np.testing.assert_allclose(w1.grad, [[-4.15, -8.30], [2.075, 4.15], [0, 0]])


def test_a_gradient_of_a_shared_tensor_is_the_sum() -> None:
    x = Text(3.0)
    y = x * x
    (y * y + y).backward()
    assert x.grad == 2 * 3 * (2 * 9 + 1)


def test_it_is_one_page_that_imports_numpy_alone() -> None:
    source = Path(textbook.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 120
    imports = [
        n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.Import, ast.ImportFrom))
    ]
    names = {a.name for n in imports if isinstance(n, ast.Import) for a in n.names}
    modules = {n.module for n in imports if isinstance(n, ast.ImportFrom)}
    assert names == {"numpy"}
    assert modules == {"__future__", "collections.abc", "typing"}
