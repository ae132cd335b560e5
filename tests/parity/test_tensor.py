"""`tg.Tensor`, `sum_to_size` and `autograd.backward` do what PyTorch's do."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
    "arguments",
    [(), (3,), (2, 0), (np.int64(2),), ([1, 2],), ((2, 3),), (range(3),), (np.arange(3),)],
)
def test_the_class_makes_what_pytorch_makes(arguments: tuple) -> None:
    ours, theirs = tg.Tensor(*arguments), torch.Tensor(*arguments)
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    if arguments and not isinstance(arguments[0], (int, np.integer)):  # else uninitialised there
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("data", [3.0, True, None, "ab"])
def test_the_class_refuses_what_pytorch_refuses(data: object) -> None:
    for library in (tg, torch):
        with pytest.raises(TypeError):
            library.Tensor(data)


def test_the_class_of_a_tensor_is_an_alias_with_its_dtype_and_history() -> None:
    for library in (tg, torch):
        integers = library.tensor([1, 2])
        assert library.Tensor(integers).dtype == integers.dtype
        leaf = library.ones(2, requires_grad=True)
        alias = library.Tensor(leaf)
        assert alias.requires_grad
        assert alias is not leaf
        assert library.Tensor(leaf.detach()).grad_fn is None


@pytest.mark.parametrize("size", [(2, 3), (1, 3), (2, 1), (3,), (1,), (1, 1), (4, 3), (1, 2, 3)])
def test_sum_to_size(size: tuple) -> None:
    array = np.arange(6, dtype="float32").reshape(2, 3)
    try:
        expected = torch.tensor(array).sum_to_size(size).numpy()
    except RuntimeError:
        with pytest.raises(ValueError, match="sum_to_size"):
            tg.tensor(array).sum_to_size(size)
    else:
        np.testing.assert_array_equal(tg.tensor(array).sum_to_size(*size).numpy(), expected)


def test_backward_of_several_tensors() -> None:
    gradients = []
    for library in (tg, torch):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        y = library.tensor([3.0, 4.0], requires_grad=True)
        outputs, start = [(x * y).sum(), x * x], [None, library.tensor([1.0, 10.0])]
        library.autograd.backward(outputs, start, retain_graph=True)
        library.autograd.backward(outputs[0], inputs=[y])
        gradients.append((x.grad.tolist(), y.grad.tolist()))
    assert gradients[0] == gradients[1]
