"""Hooks before and behind a module, and on the way back."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn


def test_forward_hooks_see_and_replace():
    layer, seen = nn.Linear(2, 3), []
    pre = layer.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape))
    post = layer.register_forward_hook(lambda module, args, out: out * 0 + 7)
    assert set(layer(tg.ones(4, 2)).detach().numpy().ravel()) == {7}
    assert seen == [(4, 2)]
    pre.remove()
    post.remove()
    layer(tg.ones(4, 2))
    assert len(seen) == 1
    with layer.register_forward_pre_hook(lambda module, args: args[0] * 0):
        assert layer(tg.ones(1, 2)).tolist() == [layer.bias.tolist()]
    assert layer(tg.ones(1, 2)).tolist() != [layer.bias.tolist()]


def test_hooks_run_in_order():
    layer, order = nn.Identity(), []
    for k in range(3):
        layer.register_forward_hook(lambda m, a, o, k=k: order.append(k))
    layer(1)
    assert order == [0, 1, 2]


def test_backward_hook_gets_both_gradients():
    layer, seen = nn.Linear(2, 3), []
    layer.register_full_backward_hook(lambda module, gi, go: seen.append((module, gi, go)))
    x = tg.randn(4, 2).requires_grad_()
    out = layer(x)
    (out * 2).sum().backward()
    ((module, (grad_input,), (grad_output,)),) = seen
    assert module is layer
    np.testing.assert_array_equal(grad_output.numpy(), np.full((4, 3), 2))
    np.testing.assert_array_equal(grad_input.numpy(), x.grad.numpy())


def test_backward_hook_replaces_the_gradient_of_the_input():
    layer = nn.Linear(2, 3)
    layer.register_full_backward_hook(lambda module, gi, go: (gi[0] * 0,))
    x = tg.randn(4, 2).requires_grad_()
    layer(x).sum().backward()
    assert x.grad.tolist() == [[0, 0]] * 4
    assert np.abs(layer.weight.grad.numpy()).sum() > 0


def test_backward_hook_without_gradient_of_the_input():
    layer, seen = nn.Linear(2, 3), []
    layer.register_full_backward_hook(lambda module, gi, go: seen.append((gi, go[0].shape)))
    layer(tg.randn(4, 2)).sum().backward()
    assert seen == [((None,), (4, 3))]


def test_backward_hook_with_several_inputs_and_outputs():
    class Both(nn.Module):
        def forward(self, x, y, times):
            return x * times, x + y

    layer, seen = Both(), []
    layer.register_full_backward_hook(lambda module, gi, go: seen.append((gi, go)))
    x, y = tg.ones(2, requires_grad=True), tg.ones(2)
    a, b = layer(x, y, 3)
    (a * 2 + b).sum().backward()
    ((grad_input, grad_output),) = seen
    assert [None if g is None else g.tolist() for g in grad_input] == [[7, 7], None, None]
    assert [g.tolist() for g in grad_output] == [[2, 2], [1, 1]]


def test_backward_hook_requires_tensors():
    class Odd(nn.Module):
        def forward(self, x):
            return {"out": x}

    layer = Odd()
    layer.register_full_backward_hook(lambda module, gi, go: None)
    with pytest.raises(TypeError, match="tuple of tensors"):
        layer(tg.ones(2))


def test_backward_hook_is_not_called_without_a_tape():
    layer, seen = nn.Linear(2, 3), []
    layer.register_full_backward_hook(lambda module, gi, go: seen.append(1))
    with tg.no_grad():
        assert layer(tg.ones(4, 2)).shape == (4, 3)
    assert seen == []


def test_wrong_number_of_replacements():
    layer = nn.Linear(2, 3)
    layer.register_full_backward_hook(lambda module, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="2 gradients for 1 inputs"):
        layer(tg.randn(4, 2).requires_grad_()).sum().backward()
