"""NumPy functions on tensors: memory is shared, and calls are recorded or refused."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg


def test_numpy_shares_memory() -> None:
    t = tg.zeros(2, 3)
    t.numpy()[0, 0] = 5
    t[1:].numpy()[0, 1] = 6
    t.T.numpy()[2, 0] = 7
    assert t.tolist() == [[5, 0, 7], [0, 6, 0]]
    assert np.shares_memory(np.asarray(t), t.numpy())
    assert not np.shares_memory(np.array(t), t.numpy())
    assert np.asarray(t, dtype="float64").dtype == "float64"
    assert tg.zeros(0, 3).numpy().shape == (0, 3)


def test_numpy_does_not_step_off_the_tape_unseen() -> None:
    x = tg.ones(2, requires_grad=True)
    for leave in (
        lambda: x.numpy(),
        lambda: np.asarray(x),
        lambda: np.array(x * 2),
        lambda: [float(v) for v in np.nditer(x)],
    ):
        with pytest.raises(RuntimeError, match=r"x\.detach\(\)\.numpy\(\)"):
            leave()
    assert np.asarray(x.detach()).tolist() == [1, 1]


@pytest.mark.parametrize(
    "function",
    [
        np.add,
        np.subtract,
        np.multiply,
        np.divide,
        np.power,
        np.maximum,
        np.minimum,
        np.arctan2,
        np.equal,
        np.less,
        np.greater_equal,
        np.logical_and,
        np.remainder,
        np.floor_divide,
    ],
)
def test_ufuncs_of_two_are_ops(function) -> None:
    a, b = np.array([1.5, 2.5]), np.array([0.5, 2.0])
    for left, right in [(tg.tensor(a), tg.tensor(b)), (tg.tensor(a), b), (a, tg.tensor(b))]:
        result = function(left, right)
        assert isinstance(result, tg.Tensor)
        np.testing.assert_allclose(result.numpy(), function(a, b), rtol=1e-15)


@pytest.mark.parametrize(
    "function",
    [
        np.exp,
        np.log,
        np.sqrt,
        np.sin,
        np.cos,
        np.tan,
        np.arcsin,
        np.arccos,
        np.arctan,
        np.sinh,
        np.cosh,
        np.tanh,
        np.arcsinh,
        np.arctanh,
        np.negative,
        np.absolute,
        np.sign,
        np.floor,
        np.ceil,
        np.trunc,
        np.rint,
        np.square,
        np.reciprocal,
        np.expm1,
        np.log1p,
        np.log2,
        np.log10,
        np.exp2,
        np.isnan,
        np.isinf,
        np.isfinite,
        np.logical_not,
    ],
)
def test_ufuncs_of_one_are_ops(function) -> None:
    a = np.array([0.3, 0.7])
    result = function(tg.tensor(a, requires_grad=True))
    assert isinstance(result, tg.Tensor)
    np.testing.assert_allclose(result.detach().numpy(), function(a), rtol=1e-14)


def test_ufuncs_are_recorded() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (np.exp(x) * np.array([1, 10], "float32") + np.float64(3)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [np.e, 10 * np.e**2], rtol=1e-6)


def test_numpy_on_the_left() -> None:
    x = tg.tensor([[1.0], [2.0]], requires_grad=True)
    for result in (
        np.ones((2, 1)) + x,
        np.float32(2) * x,
        np.ones((3, 2), "float32") @ x,
        np.ones((2, 1)) > x,
    ):
        assert isinstance(result, tg.Tensor)
    assert (np.float64(2) * x).dtype == "float32"


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sum(x),
        lambda x: np.sum(x, axis=0),
        lambda x: np.mean(x, 1, keepdims=True),
        lambda x: np.prod(x, axis=0),
        lambda x: np.max(x, axis=1),
        lambda x: np.min(x),
        lambda x: np.var(x),
        lambda x: np.std(x, axis=0, ddof=1),
        lambda x: np.argmax(x, axis=1),
        lambda x: np.concatenate([x, np.ones((1, 3)), x]),
        lambda x: np.stack([x, x], axis=1),
        lambda x: np.where(np.eye(2, 3) > 0, x, x * 2),
        lambda x: np.clip(x, 0.5, 0.8),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.transpose(x),
        lambda x: np.transpose(x, (1, 0)),
    ],
)
def test_functions_are_recorded(call) -> None:
    a = np.random.default_rng(0).uniform(0.3, 1, (2, 3))
    x = tg.tensor(a, requires_grad=True)
    found = call(x)
    assert isinstance(found, tg.Tensor)
    np.testing.assert_allclose(found.detach().numpy(), call(a), rtol=1e-14)
    assert found.requires_grad == (found.dtype.kind == "f")
    if found.requires_grad:
        assert tg.gradcheck(call, x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, x, out=np.zeros(2, "float32")),
        lambda x: np.add.reduce(x),
        lambda x: np.hypot(x, x),
        lambda x: np.sum(x, initial=1),
        lambda x: np.dot(x, x),
        lambda x: np.add(x, x, where=np.array([True, False])),
        lambda x: np.cumsum(x),
        lambda x: np.mean(x, out=np.zeros((), "float32")),
        lambda x: np.einsum("i,i", x, x),
    ],
)
def test_what_numpy_cannot_tape_is_refused(call) -> None:
    with pytest.raises(TypeError, match="cannot be recorded"):
        call(tg.ones(2, requires_grad=True))


def test_functions_without_an_op_take_what_needs_no_gradient() -> None:
    x = tg.tensor([1.0, 2.0])
    assert np.cumsum(x).tolist() == [1, 3]
    assert np.dot(x, np.array([1.0, 1.0])) == 3
    assert np.allclose(x, [1, 2])


def test_arrays_are_not_changed_by_tensors_unseen() -> None:
    a = np.ones(2, "float32")
    with pytest.raises(TypeError, match="cannot be recorded"):
        a += tg.ones(2, requires_grad=True)
    assert a.tolist() == [1, 1]


def test_arrays_of_foreign_dtypes_are_refused() -> None:
    half = np.ones(1, "float16")
    for call in (
        lambda: tg.ones(2) + half,
        lambda: tg.ones(2) * np.ones(2, ">f4"),
        lambda: tg.zeros(2).__setitem__(0, half),
        lambda: tg.ones(1) @ half,
        lambda: tg.ones(1, requires_grad=True).backward(half),
    ):
        with pytest.raises(TypeError, match="is not supported; a tensor can have"):
            call()


def test_numpy_numbers_are_numbers() -> None:
    t = tg.ones(2)
    for number in (np.float64(2), np.float32(2), np.int64(2), np.bool_(True)):
        assert (t * number).dtype == (number * t).dtype == "float32"
    assert (tg.tensor([1]) + np.int32(1)).dtype == "int64"
