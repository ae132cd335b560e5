"""Functions that are made of other ops, or make tensors, against NumPy: values, shapes, dtypes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg

X = np.random.default_rng(0).normal(size=(3, 4, 5))
BATCHES = np.random.default_rng(1).normal(size=(1, 2, 5, 3))
LEVELS = np.array([[3, 1, 2, 1], [0, 3, 3, 1]])  # with ties
MASK = X > 0


def p_norm(x: np.ndarray, p: float, axis: Any = None, keepdims: bool = False) -> np.ndarray:
    return (np.abs(x) ** p).sum(axis, keepdims=keepdims) ** (1 / p)


CASES: dict[str, tuple[Any, Any]] = {  # what is called, and what NumPy gives
    "masked_fill": (lambda: tg.masked_fill(tg.tensor(X), tg.tensor(MASK), 9), np.where(MASK, 9, X)),
    "norm": (lambda: tg.norm(tg.tensor(X)), np.sqrt((X**2).sum())),
    "norm fro": (lambda: tg.norm(tg.tensor(X), "fro", 1), np.sqrt((X**2).sum(1))),
    "norm 0.5": (lambda: tg.norm(tg.tensor(X), 0.5), p_norm(X, 0.5)),
    "norm 1": (lambda: tg.norm(tg.tensor(X), 1, 0), np.abs(X).sum(0)),
    "norm 3": (lambda: tg.norm(tg.tensor(X), 3, (0, 2)), p_norm(X, 3, (0, 2))),
    "norm inf": (lambda: tg.norm(tg.tensor(X), math.inf, 1), np.abs(X).max(1)),
    "norm keepdim": (lambda: tg.norm(tg.tensor(X), 3, 1, keepdim=True), p_norm(X, 3, 1, True)),
    "norm keepdim 1": (lambda: tg.norm(tg.tensor(X), 1, 1, True), np.abs(X).sum(1, keepdims=True)),
    "norm keepdim 2": (lambda: tg.norm(tg.tensor(X), 2, 1, True), p_norm(X, 2, 1, True)),
    "norm keepdim inf": (
        lambda: tg.norm(tg.tensor(X), math.inf, 1, True),
        np.abs(X).max(1, keepdims=True),
    ),
    "dot": (lambda: tg.dot(tg.tensor(X[0, 0]), tg.tensor(X[1, 0])), X[0, 0] @ X[1, 0]),
    "mm": (lambda: tg.mm(tg.tensor(X[0]), tg.tensor(X[1].T)), X[0] @ X[1].T),
    "matmul of batches that broadcast": (
        lambda: tg.matmul(tg.tensor(X[:, None, :, :]), tg.tensor(BATCHES)),
        X[:, None] @ BATCHES,
    ),
    "outer": (lambda: tg.outer(tg.tensor(X[0, 0]), tg.tensor(X[0, :, 0])), None),
    "t": (lambda: tg.t(tg.tensor(X[0])), X[0].T),
    "t of one axis": (lambda: tg.t(tg.tensor(X[0, 0])), X[0, 0]),
    "mT": (lambda: tg.tensor(X).mT, X.transpose(0, 2, 1)),
    "T": (lambda: tg.tensor(X).T, X.T),
    "movedim": (lambda: tg.movedim(tg.tensor(X), 0, 2), np.moveaxis(X, 0, 2)),
    "movedim back": (lambda: tg.movedim(tg.tensor(X), -1, 0), np.moveaxis(X, -1, 0)),
    "narrow": (lambda: tg.narrow(tg.tensor(X), 1, 1, 2), X[:, 1:3]),
    "narrow to the end": (lambda: tg.narrow(tg.tensor(X), -1, -2, 2), X[..., 3:]),
    "flip": (lambda: tg.flip(tg.tensor(X), (0, 2)), X[::-1, :, ::-1]),
    "flip the last": (lambda: tg.flip(tg.tensor(X), -1), X[..., ::-1]),
    "expand_as": (
        lambda: tg.expand_as(tg.tensor(X[:1]), tg.tensor(X)),
        np.broadcast_to(X[:1], X.shape),
    ),
    "repeat": (lambda: tg.repeat(tg.tensor(X[0]), 2, 1, 3), np.tile(X[0], (2, 1, 3))),
    "repeat a tuple": (lambda: tg.repeat(tg.tensor(X[0]), (1, 2)), np.tile(X[0], (1, 2))),
    "tril": (lambda: tg.tril(tg.tensor(X)), np.tril(X)),
    "tril above": (lambda: tg.tril(tg.tensor(X), 1), np.tril(X, 1)),
    "triu": (lambda: tg.triu(tg.tensor(X)), np.triu(X)),
    "triu below": (lambda: tg.triu(tg.tensor(X), -2), np.triu(X, -2)),
    "gather": (
        lambda: tg.gather(tg.tensor(LEVELS), 1, tg.tensor([[3, 0], [1, -1 % 4]])),
        np.array([[1, 3], [3, 1]]),
    ),
    "index_select": (
        lambda: tg.index_select(tg.tensor(X), 1, tg.tensor([3, 0, 3])),
        X[:, [3, 0, 3]],
    ),
    "max": (lambda: tg.max(tg.tensor(X)), X.max()),
    "max along": (lambda: tg.max(tg.tensor(LEVELS), 1)[0], LEVELS.max(1)),
    "argument of max": (lambda: tg.max(tg.tensor(LEVELS), 1)[1], LEVELS.argmax(1)),
    "max keepdim": (lambda: tg.max(tg.tensor(X), 0, True)[0], X.max(0, keepdims=True)),
    "max of two": (lambda: tg.max(tg.tensor(X[0]), tg.tensor(X[1])), np.maximum(X[0], X[1])),
    "min": (lambda: tg.min(tg.tensor(X)), X.min()),
    "min along": (lambda: tg.min(tg.tensor(LEVELS), 1)[0], LEVELS.min(1)),
    "argument of min": (lambda: tg.min(tg.tensor(LEVELS), 1)[1], LEVELS.argmin(1)),
    "argsort": (lambda: tg.argsort(tg.tensor(X)), X.argsort(-1)),
    "argsort descending": (lambda: tg.argsort(tg.tensor(X), 0, True), (-X).argsort(0)),
    "sort": (lambda: tg.sort(tg.tensor(X), 1)[0], np.sort(X, 1)),
    "sort descending": (lambda: tg.sort(tg.tensor(X), descending=True)[0], -np.sort(-X)),
    "arguments of sort": (lambda: tg.sort(tg.tensor(X), 1)[1], X.argsort(1)),
    "topk": (lambda: tg.topk(tg.tensor(X), 2, 1)[0], -np.sort(-X, 1)[:, :2]),
    "arguments of topk": (lambda: tg.topk(tg.tensor(X), 3)[1], (-X).argsort(-1)[..., :3]),
    "topk smallest": (lambda: tg.topk(tg.tensor(X), 2, largest=False)[0], np.sort(X)[..., :2]),
    "cat": (lambda: tg.cat([tg.tensor(X), tg.tensor(X[:1])]), np.concatenate([X, X[:1]])),
    "cat the last": (lambda: tg.cat([tg.tensor(X)] * 2, -1), np.concatenate([X, X], -1)),
    "stack": (lambda: tg.stack([tg.tensor(X)] * 2), np.stack([X, X])),
    "stack at the end": (lambda: tg.stack([tg.tensor(X)] * 2, -1), np.stack([X, X], -1)),
    "stack inside": (lambda: tg.stack([tg.tensor(X)] * 2, 2), np.stack([X, X], 2)),
    "arange": (lambda: tg.arange(5), np.arange(5)),
    "arange from": (lambda: tg.arange(2, 11, 3), np.arange(2, 11, 3)),
    "arange down": (lambda: tg.arange(1.0, -1, -0.5), np.arange(1, -1, -0.5)),
    "linspace": (lambda: tg.linspace(-1, 3, 9), np.linspace(-1, 3, 9)),
    "eye": (lambda: tg.eye(3), np.eye(3)),
    "eye with columns": (lambda: tg.eye(2, 4), np.eye(2, 4)),
    "full": (lambda: tg.full((2, 3), 7), np.full((2, 3), 7)),
    "full of floats": (lambda: tg.full((2,), 0.5), np.full((2,), 0.5)),
    "zeros": (lambda: tg.zeros(2, 3), np.zeros((2, 3))),
    "ones of a tuple": (lambda: tg.ones((2, 3)), np.ones((2, 3))),
    "zeros_like": (lambda: tg.zeros_like(tg.tensor(X)), np.zeros_like(X)),
    "ones_like": (lambda: tg.ones_like(tg.tensor(X)), np.ones_like(X)),
    "full_like": (lambda: tg.full_like(tg.tensor(X), 3), np.full_like(X, 3)),
}
CASES["outer"] = (CASES["outer"][0], np.outer(X[0, 0], X[0, :, 0]))


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    call, expected = CASES[name]
    found = call()
    assert found.shape == np.shape(expected)
    assert found.dtype.kind == np.asarray(expected).dtype.kind
    np.testing.assert_allclose(found.numpy(), expected, 1e-6)


def parts(tensors: Any) -> list[Any]:
    return [part.tolist() for part in tensors]


def test_parts() -> None:
    x = tg.arange(7)
    assert parts(tg.split(x, 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert parts(tg.split(x, [2, 5])) == [[0, 1], [2, 3, 4, 5, 6]]
    assert parts(tg.chunk(x, 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert parts(tg.chunk(x, 9)) == [[k] for k in range(7)]
    table = tg.arange(6).reshape(2, 3)
    assert parts(tg.split(table, 2, 1)) == [[[0, 1], [3, 4]], [[2], [5]]]
    assert parts(tg.split(table, 2, dim=-1)) == [[[0, 1], [3, 4]], [[2], [5]]]
    assert parts(tg.chunk(table, 2, 1)) == [[[0, 1], [3, 4]], [[2], [5]]]
    assert parts(tg.unbind(table)) == [[0, 1, 2], [3, 4, 5]]
    assert parts(tg.unbind(table, 1)) == [[0, 3], [1, 4], [2, 5]]


def test_tensors_to_join_may_come_from_a_generator() -> None:
    x = tg.tensor([1, 2])
    assert tg.cat(x for _ in range(2)).tolist() == [1, 2, 1, 2]
    assert tg.stack(x for _ in range(2)).tolist() == [[1, 2], [1, 2]]


def test_equality() -> None:
    x = tg.tensor([1.0, 2.0])
    assert tg.equal(x, x.clone())
    assert not tg.equal(x, x + tg.tensor([0.0, 1e-6]))
    assert not tg.equal(x, x.reshape(1, 2))
    assert not tg.allclose(x, x * 1.001)
    assert tg.allclose(x, x * 1.000001)
    assert tg.allclose(x, x * 1.001, rtol=1e-2)
    assert tg.allclose(x * 1e-9, x * 0)
    assert not tg.allclose(x * 1e-9, x * 0, atol=0)
    assert not tg.allclose(x * 1e-9, x * 0, 1e-5, 1e-10)


MADE: dict[str, Any] = {
    "zeros": lambda **o: tg.zeros(2, **o),
    "ones": lambda **o: tg.ones(2, **o),
    "empty": lambda **o: tg.empty(2, **o),
    "full": lambda **o: tg.full((2,), 3.0, **o),
    "rand": lambda **o: tg.rand(2, **o),
    "randn": lambda **o: tg.randn(2, **o),
    **{
        name: lambda name=name, **o: getattr(tg, name)(tg.ones(2), **o)
        for name in ("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like")
    },
    "full_like": lambda **o: tg.full_like(tg.ones(2), 3.0, **o),
    "tensor": lambda **o: tg.tensor([1.0, 2.0], **o),
}


@pytest.mark.parametrize("name", MADE)
def test_dtype_and_requires_grad_of_new_tensors(name: str) -> None:
    assert not MADE[name]().requires_grad
    assert MADE[name]().dtype == tg.float32
    for dtype, requires_grad in itertools.product((tg.float32, tg.float64), (False, True)):
        made = MADE[name](dtype=dtype, requires_grad=requires_grad)
        assert (made.shape, made.dtype, made.requires_grad) == ((2,), dtype, requires_grad)
        assert made.is_leaf


def test_random_numbers_lie_where_they_should() -> None:
    tg.manual_seed(0)
    uniform, normal = tg.rand(20_000).numpy(), tg.randn(20_000).numpy()
    assert 0 <= uniform.min() < 0.001 < 0.999 < uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.01)
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=0.02)
    assert abs(normal).max() > 3
    assert set(tg.randint(3, size=(200,)).tolist()) == {0, 1, 2}
    assert set(tg.randint(-2, 1, (200,)).tolist()) == {-2, -1, 0}
    assert tg.randint(5).shape == ()
    assert set(tg.randint_like(tg.ones(200), 2, 4).tolist()) == {2, 3}
    assert set(tg.randint_like(tg.ones(200), 2).tolist()) == {0, 1}
    assert sorted(tg.randperm(50).tolist()) == list(range(50)) != tg.randperm(50).tolist()


def test_the_state_of_the_generator_can_be_kept() -> None:
    tg.manual_seed(3)
    saved = tg.get_rng_state()
    first = tg.rand(5).tolist()
    assert tg.rand(5).tolist() != first
    tg.set_rng_state(saved)
    assert tg.rand(5).tolist() == first
    tg.manual_seed(4)
    assert tg.rand(5).tolist() != first


@pytest.mark.parametrize("p", [0, -1, "nuc"])
def test_norms_that_are_none(p: Any) -> None:
    with pytest.raises(ValueError, match="p must be a positive number"):
        tg.norm(tg.ones(2), p)
