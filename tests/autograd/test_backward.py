"""`run_backward` equals the textbook walk on random graphs; `backward` is PyTorch's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tinygrad_mlp.autograd.backward import run_backward, textbook_backward

Tensor = tg.Tensor


class Split(tg.autograd.Function):
    """An op of two outputs: the positive and the negative part."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.relu(), (-x).relu()

    @staticmethod
    def backward(ctx, positive, negative):
        (x,) = ctx.saved_tensors
        return tg.where(x > 0, positive, -negative)


# Each makes new tensors from two others of shape (2, 3), (3,), (2, 1) or ().
STEPS: list[Callable[[Tensor, Tensor], list[Tensor]]] = [
    lambda x, y: [x + y],  # broadcasting
    lambda x, y: [x * y],
    lambda x, y: [tg.maximum(x, y)],
    lambda x, y: [x * x],  # one tensor twice
    lambda x, y: [x.tanh()],
    lambda x, y: [x.sum()],
    lambda x, y: [x.expand(2, 3)[:, 1:].sum(1, keepdim=True)],  # views
    lambda x, y: [x.expand(2, 3).T[0].sum() * y],
    lambda x, y: list(Split.apply(x)),  # several outputs
    lambda x, y: [x.expand(2, 3).clone().mul_(y.expand(2, 3))],  # in place
    lambda x, y: [x.softmax(-1) if x.ndim else x],  # a joint rule
    lambda x, y: [x.double().float()],
]


@given(st.data())
def test_backward_equals_the_textbook_walk(data: st.DataObject) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    leaves = [
        tg.tensor(generator.uniform(-1, 1, shape).astype("float32"), requires_grad=True)
        for shape in ((2, 3), (3,), (2, 1), ())
    ]
    tensors = list(leaves)
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=12)):
        x, y = (data.draw(st.sampled_from(tensors)) for _ in range(2))
        tensors += step(x, y)
    outputs = data.draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=3))
    gradients = [
        tg.tensor(generator.uniform(-1, 1, out.shape).astype("float32")) for out in outputs
    ]
    expected = textbook_backward(outputs, gradients)
    found = run_backward(outputs, gradients, inputs=leaves, accumulate=False, retain_graph=True)
    run_backward(outputs, gradients)
    reached = Identities(expected)
    for leaf, gradient in zip(leaves, found, strict=True):
        assert (gradient is None) == (leaf not in reached) == (leaf.grad is None)
        if gradient is not None:
            wanted = expected[leaf].numpy()
            assert gradient.shape == leaf.shape
            np.testing.assert_allclose(gradient.numpy(), wanted, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(leaf.grad.numpy(), wanted, rtol=1e-4, atol=1e-5)


class Identities:
    """``in`` by identity: tensors compare element by element."""

    def __init__(self, tensors):
        self.ids = {id(each) for each in tensors}

    def __contains__(self, tensor: object) -> bool:
        return id(tensor) in self.ids


def test_several_tensors_at_once() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    tg.autograd.backward([x.sum(), x * x], [None, tg.tensor([1.0, 10.0])])
    assert x.grad.tolist() == [1 + 2, 1 + 40]


def test_one_tensor_and_chosen_inputs() -> None:
    x, y = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    tg.autograd.backward((x * y).sum(), inputs=x)
    assert x.grad.tolist() == [1, 1]
    assert y.grad is None


def test_create_graph_records_the_gradient_and_keeps_the_graph() -> None:
    x = tg.tensor(2.0, requires_grad=True)
    loss = x**3
    tg.autograd.backward(loss, create_graph=True)
    assert x.grad.requires_grad
    (second,) = tg.grad(x.grad, x)
    assert second.item() == 12
    tg.autograd.backward(loss)


def test_as_many_gradients_as_tensors() -> None:
    x = tg.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="2 gradients were given for 1 outputs"):
        tg.autograd.backward(x.sum(), [None, None])
    with pytest.raises(ValueError, match="1 gradients were given for 2 outputs"):
        tg.grad([x.sum(), x.sum()], x, [tg.tensor(1.0)])
