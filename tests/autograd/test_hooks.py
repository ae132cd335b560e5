"""Hooks of tensors, and `retain_grad`."""

from __future__ import annotations

import pytest

import tinygrad_mlp as tg


def leaf(*values: float):
    return tg.tensor([float(v) for v in values], requires_grad=True)


def test_hooks_of_leaves_see_the_whole_gradient_once() -> None:
    x = leaf(1.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [[5]]


def test_hooks_of_results_see_their_gradient() -> None:
    x = leaf(1.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3 + y).sum().backward()
    assert seen == [[4]]
    assert x.grad.tolist() == [8]


def test_a_hook_replaces_what_it_returns_and_hooks_run_in_order() -> None:
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: -g)
    y.sum().backward()
    assert x.grad.tolist() == [-22]


def test_a_hook_is_called_once_where_the_gradient_is_that_of_a_textbook_form() -> None:
    x, seen = leaf(2.0, 3.0), []
    x.register_hook(lambda g: seen.append(g.tolist()))
    y = x * 1
    y.register_hook(lambda g: seen.append(g.tolist()))
    (x.prod() + y.prod()).backward()
    assert seen == [[3, 2], [6, 4]]


def test_a_removed_hook_is_not_called() -> None:
    x = leaf(1.0)
    seen = []
    handle = x.register_hook(seen.append)
    handle.remove()
    handle.remove()
    with x.register_hook(seen.append):
        pass
    (x * 2).sum().backward()
    assert seen == []


def test_a_hook_may_remove_itself() -> None:
    x = leaf(1.0)
    for tensor in (x, y := x * 2):
        handle = tensor.register_hook(lambda g, h=[]: h[0].remove())
        handle.hooks[handle.id].__defaults__[0].append(handle)
    y.sum().backward()
    assert x.grad.tolist() == [2]


def test_hooks_need_requires_grad() -> None:
    for method in (lambda: tg.ones(2).register_hook(print), lambda: tg.ones(2).retain_grad()):
        with pytest.raises(RuntimeError, match="does not require a gradient"):
            method()


def test_retain_grad() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * 3).sum().backward()
    assert y.grad.tolist() == [30]
    assert x.grad.tolist() == [60]
    x.retain_grad()  # a leaf keeps it anyway


def test_a_result_without_retain_grad_keeps_none() -> None:
    x = leaf(1.0)
    y = x * 2
    y.sum().backward()
    assert y.grad is None


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (lambda g: tg.ones(5), ValueError, r"float32 \(5,\) in place of float32 \(2,\)"),
        (lambda g: g.double(), ValueError, "float64"),
        (lambda g: 3.0, TypeError, "float"),
    ],
)
@pytest.mark.parametrize("on_leaf", [True, False])
def test_what_a_hook_returns_is_checked(returned, error, match, on_leaf) -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    (x if on_leaf else y).register_hook(returned)
    with pytest.raises(error, match=match):
        (y * y).sum().backward()
    assert x.grad is None
