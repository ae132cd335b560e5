"""Bugs that were found and mended: each stays mended."""

import re

import numpy as np
import pytest

import tinygrad_mlp as tg

# --- gradients at kinks ---


@pytest.mark.parametrize("p", [2, "fro", 3, 1.5, 0.5])
def test_the_gradient_of_a_norm_at_zero_is_zero(p):
    x = tg.zeros(2, 3, requires_grad=True)
    x.norm(p).backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


def test_the_gradient_of_std_of_equal_elements_is_zero():
    x = tg.ones(2, 3, requires_grad=True)
    x.std().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("function", [lambda x: x.norm(), lambda x: x.norm(3), lambda x: x.std()])
def test_second_derivatives_beside_a_kink(function):
    x = tg.tensor([[0.5, -1.0, 2.0]], dtype="float64", requires_grad=True)
    assert tg.gradcheck(lambda x: tg.grad([function(x)], [x], create_graph=True)[0], x)


def test_logsumexp_of_infinity_leaves_finite_entries_alone():
    x = tg.tensor([[1.0, float("inf")], [0.0, 0.0]], requires_grad=True)
    x.logsumexp(1).sum().backward()
    assert x.grad[:, 0].tolist() == [0.0, 0.5]


# --- integers ---


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda t: t // 0, ZeroDivisionError, "by zero"),
        (lambda t: t % 0, ZeroDivisionError, "by zero"),
        (lambda t: 5 // (t - 1), ZeroDivisionError, "by zero"),
        (lambda t: t.__ifloordiv__(0), ZeroDivisionError, "by zero"),
        (lambda t: t**-1, RuntimeError, "negative integer powers are not allowed"),
        (lambda t: t.pow_(-1), RuntimeError, "negative integer powers are not allowed"),
    ],
)
def test_integers_refuse_what_they_cannot_hold(call, error, text):
    with pytest.raises(error, match=text):
        call(tg.tensor([1, 2]))


def test_floats_divide_by_zero():
    assert (tg.tensor([1.0, -1.0]) // 0).tolist() == [float("inf"), -float("inf")]
    assert (tg.tensor([2.0]) ** -1).tolist() == [0.5]


def test_in_place_operators_change_the_tensor_itself():
    t = tg.tensor([7, 9])
    alias = t
    t //= 2
    t %= 4
    assert alias is t
    assert t.tolist() == [3, 0]
    mask = tg.tensor([True, False])
    alias = mask
    mask |= tg.tensor([False, True])
    mask ^= True
    mask &= True
    assert alias is mask
    assert mask.tolist() == [False, False]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "amax", "any", "std"])
def test_no_axes_named_means_all(name):
    t = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert getattr(t, name)(dim=()).tolist() == getattr(t, name)().tolist()
    assert t.flip(()).tolist() == t.tolist()


# --- NumPy's functions ---


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "amin", "var", "std", "argmax"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_numpy_reductions_are_those_of_the_tape(name, axis):
    x = tg.tensor([[1.0, 5.0, 2.0], [4.0, 3.0, 9.0]], requires_grad=True)
    out = getattr(np, name)(x, axis=axis)
    assert isinstance(out, tg.Tensor)
    assert out.requires_grad == (name != "argmax")
    np.testing.assert_allclose(out.detach(), getattr(np, name)(x.detach().numpy(), axis=axis), 1e-6)


def test_numpy_functions_that_arrange_are_recorded():
    x = tg.tensor([[1.0, -5.0, 2.0]], requires_grad=True)
    parts = [
        np.concatenate([x, np.ones((1, 3), "float32")]),
        np.stack((x, x)),
        np.clip(x, 0, 1),
        np.reshape(x, (3, 1)),
        np.transpose(x),
        np.where(x > 0, x, 0),
    ]
    assert [p.shape for p in parts] == [(2, 3), (2, 1, 3), (1, 3), (3, 1), (3, 1), (1, 3)]
    assert all(p.requires_grad for p in parts)
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((1, 3), 2, 3)


def test_other_numpy_functions_need_a_tensor_off_the_tape():
    x = tg.ones(2, 3, requires_grad=True)
    with pytest.raises(TypeError, match=r"cannot be recorded.*np.asarray\(x.detach\(\)\)"):
        np.median(x)
    assert np.median(x.detach()) == 1
    assert np.allclose(x.detach(), 1)
    assert np.array_equal(x.detach(), np.array(x.detach()))


# --- indexing and joining ---


@pytest.mark.parametrize(
    ("key", "shape", "selected"),
    [(0, (4,), (3,)), ([0, 1], (2,), (2, 3)), (np.array([[True, False, True]] * 2), (3,), (4,))],
)
def test_item_assignment_that_does_not_fit(key, shape, selected):
    text = f"`value` of shape {shape} does not fit the selected elements, shape {selected}"
    with pytest.raises(ValueError, match=re.escape(text)):
        tg.zeros(2, 3)[key] = tg.ones(*shape)


@pytest.mark.parametrize("join", [tg.cat, tg.stack])
def test_join_error_names_the_entry_that_is_not_a_tensor(join):
    with pytest.raises(TypeError, match="entry 1 must be a tensor, not int"):
        join([tg.ones(1), 2])


@pytest.mark.parametrize("true", [True, np.True_, tg.tensor(True)])
def test_a_single_bool_indexes_a_new_axis(true):
    x = tg.ones(3)
    assert x[true].shape == (1, 3)
    assert x[tg.tensor(False)].shape == (0, 3)
    x[true] = 5
    assert x.tolist() == [5, 5, 5]


def test_a_0d_integer_tensor_indexes_as_its_integer():
    x = tg.zeros(2, 3)
    row = x[tg.tensor(1)]
    row.fill_(7)
    assert x.tolist() == [[0, 0, 0], [7, 7, 7]]
    with pytest.raises(IndexError, match="out of"):
        x[tg.tensor(2)]
