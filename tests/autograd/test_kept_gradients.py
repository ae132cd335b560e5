"""A gradient that the user holds stays as it is, whatever later backwards add to ``.grad``.

``.grad`` takes over an array that nothing else holds, and later gradients are added in place: an
array of the user must never be the one taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.autograd import Function


def leaf() -> Any:
    return tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


GIVEN: dict[str, Callable[[Any], Any]] = {  # of a leaf: a result through which g passes unchanged
    "the leaf itself": lambda x: x,
    "plus a number": lambda x: x + 1,
    "two sums": lambda x: (x + 1) + 2,
    "reshaped": lambda x: x.reshape(4),
    "reshaped twice": lambda x: x.reshape(4).reshape(2, 2),
    "transposed": lambda x: x.T,
    "a slice of all": lambda x: x[:],
    "a float64": lambda x: x.double(),
    "cloned": lambda x: x.clone(),
    "joined": lambda x: tg.cat([x], 0),
    "summed by 1": lambda x: x.sum(0, keepdim=True).sum(1),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_given_gradient(name: str) -> None:
    x = leaf()
    y = GIVEN[name](x)
    g = tg.full(y.shape, 5.0, dtype=y.dtype)
    for _ in range(3):
        y.backward(g, retain_graph=True)
    assert g.reshape(-1).tolist() == [5.0] * g.numel()
    assert x.grad.tolist() == [[15, 15], [15, 15]]
    x.grad.zero_()
    assert g.reshape(-1).tolist() == [5.0] * g.numel()


@pytest.mark.parametrize("name", GIVEN)
def test_a_gradient_kept_by_a_hook(name: str) -> None:
    x, kept = leaf(), []
    x.register_hook(kept.append)
    for _ in range(3):
        y = GIVEN[name](x)
        y.backward(tg.full(y.shape, 5.0, dtype=y.dtype))
    assert [g.tolist() for g in kept] == [[[5, 5], [5, 5]]] * 3
    assert x.grad.tolist() == [[15, 15], [15, 15]]


@pytest.mark.parametrize("name", GIVEN)
def test_a_gradient_kept_by_a_hook_of_a_result(name: str) -> None:
    x, kept = leaf(), []
    for _ in range(3):
        y = GIVEN[name](x * 1)
        y.register_hook(kept.append)
        y.backward(tg.full(y.shape, 5.0, dtype=y.dtype))
    assert [g.reshape(-1).tolist() for g in kept] == [[5.0] * kept[0].numel()] * 3
    assert x.grad.tolist() == [[15, 15], [15, 15]]


def test_what_a_hook_returns_and_keeps() -> None:
    x, kept = leaf(), []

    def hook(g: Any) -> Any:
        kept.append(g * 2)
        return kept[-1]

    x.register_hook(hook)
    for _ in range(2):
        (x * 3).sum().backward()
    assert [g.tolist() for g in kept] == [[[6, 6], [6, 6]]] * 2
    assert x.grad.tolist() == [[12, 12], [12, 12]]


class Keeps(Function):
    """Passes gradients that it keeps: the one it was given, and one that it made."""

    kept: list[Any]

    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, gradient):
        made = gradient * 2
        Keeps.kept += [gradient, made]
        return gradient, made


def test_what_a_function_returns_and_keeps() -> None:
    Keeps.kept = []
    x, y = leaf(), leaf()
    for _ in range(3):
        Keeps.apply(x, y).sum().backward()
    assert [g.tolist() for g in Keeps.kept] == [[[1, 1], [1, 1]], [[2, 2], [2, 2]]] * 3
    assert x.grad.tolist() == [[3, 3], [3, 3]]
    assert y.grad.tolist() == [[6, 6], [6, 6]]


def test_one_gradient_for_two_leaves() -> None:
    x, y = leaf(), leaf()
    (x + y).sum().backward()
    (x * 10).sum().backward()
    assert x.grad.tolist() == [[11, 11], [11, 11]]
    assert y.grad.tolist() == [[1, 1], [1, 1]]


def test_retained_gradients() -> None:
    x, g = leaf(), tg.ones(2, 2)
    y = x + 1
    y.retain_grad()
    y.backward(g, retain_graph=True)
    first = y.grad
    y.backward(g)
    assert first.tolist() == g.tolist() == [[1, 1], [1, 1]]
    second = y.grad
    (x * 10).sum().backward()
    assert second.tolist() == [[2, 2], [2, 2]]
    assert x.grad.tolist() == [[12, 12], [12, 12]]
    first.zero_()
    assert g.tolist() == [[1, 1], [1, 1]]


def test_gradients_returned_by_grad() -> None:
    x = leaf()
    g = tg.ones(2, 2)
    (found,) = tg.grad(x + 1, x, g)
    x.backward(found)
    (x * 10).sum().backward()
    assert g.tolist() == found.tolist() == [[1, 1], [1, 1]]
    assert x.grad.tolist() == [[11, 11], [11, 11]]


def test_a_gradient_limited_to_inputs() -> None:
    x = leaf()
    g = tg.ones(2, 2)
    for _ in range(2):
        tg.autograd.backward(x + 1, g, inputs=[x])
    assert g.tolist() == [[1, 1], [1, 1]]
    assert x.grad.tolist() == [[2, 2], [2, 2]]


def test_the_array_of_a_given_numpy_gradient() -> None:
    x = leaf()
    g = tg.ones(2, 2).numpy()
    for _ in range(2):
        (x + 1).backward(g)
    assert g.tolist() == [[1, 1], [1, 1]]
