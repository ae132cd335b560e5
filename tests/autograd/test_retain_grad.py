"""`retain_grad` of tensors that in-place ops change: it holds for the values at the end.

Each program makes ``y = x * 2`` of ``x = [1, 2]`` and returns a tensor after ``backward``; its
``.grad`` was computed by PyTorch 2.13, with which the parity test compares again.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

import tinygrad_mlp as tg

PROGRAMS: dict[str, tuple[str, list[float] | None]] = {
    "before": ("y.retain_grad(); y.mul_(3.0); y.sum().backward()", [1, 1]),
    "after": ("y.mul_(3.0); y.retain_grad(); y.sum().backward()", [1, 1]),
    "twice": ("y.retain_grad(); y.mul_(3.0); y.retain_grad(); y.sum().backward()", [1, 1]),
    "between": ("y.mul_(3.0); y.retain_grad(); y.mul_(5.0); (y * 4).sum().backward()", [4, 4]),
    "two in place": ("y.retain_grad(); y.mul_(3.0); y.mul_(5.0); y.sum().backward()", [1, 1]),
    "used before": (
        "y.retain_grad(); z = y * 5; y.mul_(3.0); (y.sum() + z.sum()).backward()",
        [1, 1],
    ),
    "two backwards": (
        "y.retain_grad(); y.mul_(3.0); y.sum().backward(retain_graph=True); y.sum().backward()",
        [2, 2],
    ),
    "zeroed": ("y.retain_grad(); y.zero_(); y.sum().backward()", [1, 1]),
    "copied into": ("y.retain_grad(); y.copy_(x * 5); (y * 4).sum().backward()", [4, 4]),
    "an item assigned": ("y.retain_grad(); y[0] = 7.0; (y * 4).sum().backward()", [4, 4]),
    "through a view": (
        "y.retain_grad(); v = y[:1]; v.mul_(3.0); y.mul_(5.0); y.sum().backward()",
        [1, 1],
    ),
    "a view changed": ("y = y[:1]; y.retain_grad(); y.mul_(3.0); (y * 7).sum().backward()", [7]),
    "a view's base changed": (
        "base, y = y, y[:1]; y.retain_grad(); base.mul_(3.0); (y * 7).sum().backward()",
        [7],
    ),
    "a view whose base was changed": (
        "base, y = y, y[:1]; base.mul_(3.0); y.retain_grad(); (y * 7).sum().backward()",
        [7],
    ),
    "a view and its base": (
        "base, y = y, y[:1]; y.retain_grad(); y.mul_(3.0); base.mul_(5.0);"
        " (y * 7).sum().backward()",
        [7],
    ),
    "a view, not used again": (
        "base, y = y, y[:1]; y.retain_grad(); y.mul_(3.0); base.sum().backward()",
        None,
    ),
    "made by an in-place op": (
        "y = T.zeros(2); y.add_(x); y.retain_grad(); y.mul_(3.0); y.sum().backward()",
        [1, 1],
    ),
    "with hooks, which stay": (
        "y.register_hook(lambda g: g * 10); y.retain_grad(); y.mul_(3.0);"
        " y.register_hook(lambda g: g * 100); y.sum().backward()",
        [100, 100],
    ),
}


def gradient(module: ModuleType, program: str) -> list[float] | None:
    x: Any = module.tensor([1.0, 2.0], requires_grad=True)
    names = {"T": module, "x": x, "y": x * 2}
    exec(program, names)
    y: Any = names["y"]
    assert y.retains_grad
    return None if y.grad is None else y.grad.tolist()


@pytest.mark.parametrize("name", PROGRAMS)
def test_after_in_place_ops(name: str) -> None:
    program, expected = PROGRAMS[name]
    assert gradient(tg, program) == expected


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")  # .grad of a tensor that is not a leaf
@pytest.mark.parametrize("name", PROGRAMS)
def test_pytorch_agrees(name: str) -> None:
    import torch

    program, expected = PROGRAMS[name]
    assert gradient(torch, program) == expected


def test_a_hook_of_a_view_whose_base_was_changed_sees_the_new_values() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    view, seen = y[:1], []
    y.mul_(3.0)
    view.register_hook(lambda g: seen.append(g.tolist()))
    (view * 7).sum().backward()
    assert seen == [[7]]


def test_only_results_retain_their_gradient_on_request() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    x.retain_grad()
    assert not x.retains_grad
    assert not (x * 2).retains_grad
