"""`Tensor`: making one, printing it, turning it into Python and NumPy and back, copying it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_mlp as tg


def same(tensor, array, dtype=None) -> None:
    array = np.asarray(array)
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert tensor.shape == array.shape
    assert tensor.dtype == (dtype or array.dtype)


# --- making tensors ---


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1, "int64", ()),
        (1.5, "float32", ()),
        (True, "bool", ()),
        ([1, 2], "int64", (2,)),
        ([1, 2.5], "float32", (2,)),
        ([[1], [2]], "int64", (2, 1)),
        ([True, False], "bool", (2,)),
        ([], "float32", (0,)),
        ([[], []], "float32", (2, 0)),
        ((1, 2), "int64", (2,)),
        (np.array([1.5]), "float64", (1,)),
        (np.array([1], "uint8"), "uint8", (1,)),
        (np.array([1], "int32"), "int32", (1,)),
        (np.float32(2), "float32", ()),
        (np.int64(2), "int64", ()),
        (np.array(2.0), "float64", ()),
        (range(3), "int64", (3,)),
        (np.arange(6.0)[::2], "float64", (3,)),
    ],
)
def test_from_data(data, dtype: str, shape: tuple) -> None:
    made = tg.tensor(data)
    assert (str(made.dtype), made.shape) == (dtype, shape)
    assert made.is_contiguous()
    same(made, np.asarray(data).astype(dtype))


def test_a_wide_dtype_is_not_narrowed_on_the_way() -> None:
    assert tg.tensor(0.1, dtype="float64").item() == 0.1
    assert tg.tensor([[0.1, 1e300]], dtype=tg.float64).tolist() == [[0.1, 1e300]]
    assert tg.full((1,), 0.1, dtype="float64").tolist() == [0.1]
    assert tg.tensor([2**53 + 1]).tolist() == [2**53 + 1]


def test_from_tensors() -> None:
    a, b = tg.tensor(1.0), tg.tensor(2.0)
    same(tg.tensor([a, b]), np.array([1, 2], "float32"))
    same(tg.tensor(a), np.float32(1))
    copied = tg.tensor(x := tg.ones(2, requires_grad=True))
    assert not copied.requires_grad
    assert copied.storage is not x.storage


def test_data_is_copied_but_from_numpy_shares() -> None:
    a = np.zeros(3, np.float32)
    copied, sharing = tg.tensor(a), tg.from_numpy(a)
    a[0] = 5
    assert (copied.tolist(), sharing.tolist()) == ([0, 0, 0], [5, 0, 0])
    sharing[1] = 7.0
    assert a.tolist() == [5, 7, 0]
    assert np.shares_memory(sharing.numpy(), a)


@pytest.mark.parametrize(
    ("arguments", "array"),
    [
        ((), np.zeros(0)),
        ((3,), np.zeros(3)),
        ((2, 3), np.zeros((2, 3))),
        ((np.int64(2), 0), np.zeros((2, 0))),
        (([1, 2.5],), np.array([1, 2.5])),
        (((2, 3),), np.array([2.0, 3.0])),
        ((range(3),), np.arange(3.0)),
        ((np.arange(3),), np.arange(3.0)),
        ((np.array(2.0),), np.array(2.0)),
    ],
)
def test_the_class_takes_sizes_or_data(arguments: tuple, array: np.ndarray) -> None:
    same(tg.Tensor(*arguments), array.astype("float32"))


def test_the_class_of_a_tensor_is_an_alias() -> None:
    x = tg.tensor([1, 2])
    same(alias := tg.Tensor(x), [1, 2])
    alias.add_(1)
    assert x.tolist() == [2, 3]
    leaf = tg.ones(2, requires_grad=True)
    (tg.Tensor(leaf) * 3).sum().backward()
    assert leaf.grad.tolist() == [3, 3]


def test_the_class_copies_data_and_follows_the_default_dtype() -> None:
    array = np.ones(2, "float32")
    made = tg.Tensor(array)
    array[0] = 5
    assert made.tolist() == [1, 1]
    tg.set_default_dtype("float64")
    try:
        assert tg.Tensor([1]).dtype == tg.Tensor(1).dtype == "float64"
    finally:
        tg.set_default_dtype("float32")


@pytest.mark.parametrize("data", [3.0, True, None, "ab", {1}])
def test_tensor_class_refuses_wrong_data(data) -> None:
    with pytest.raises(TypeError, match=r"`data` must be a sequence, an array or sizes, not .*"):
        tg.Tensor(data)


@pytest.mark.parametrize("sizes", [(2, 3.0), ([1.0], 2), (-1,), (2, -3)])
def test_tensor_class_refuses_wrong_sizes(sizes: tuple) -> None:
    with pytest.raises((TypeError, ValueError)):
        tg.Tensor(*sizes)


@pytest.mark.parametrize("key", [np.s_[::2], np.s_[::-1], np.s_[1:, ::-2], np.s_[:, 1]])
def test_from_numpy_of_any_strides(key) -> None:
    a = np.arange(12.0).reshape(3, 4)[key]
    t = tg.from_numpy(a)
    same(t, a)
    same(t[1:], a[1:])
    same(t + 1, a + 1)
    t[0] = -1.0
    assert (a[0] == -1).all()
    assert str(t[1:]) == str(tg.tensor(a[1:]))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("text", TypeError, "cannot make numbers of str"),
        ([1, None], TypeError, "cannot make numbers of list"),
        (1 + 2j, TypeError, "cannot make numbers of complex"),
        ([[1], [2, 3]], ValueError, "ragged"),
        (np.zeros(2, "float16"), TypeError, r"dtype float16.*astype\(np.float32\)"),
        (np.zeros(2, "int16"), TypeError, r"dtype int16.*astype\(np.int64\)"),
        (np.zeros(2, "complex64"), TypeError, "dtype complex64"),
        (np.array(["a"]), TypeError, "dtype"),
        (np.zeros(2, ">f4"), TypeError, "dtype >f4"),
        ({1: 2}, TypeError, "dict"),
        (None, TypeError, "NoneType"),
    ],
)
def test_data_that_is_none(data, error, message: str) -> None:
    with pytest.raises(error, match=message):
        tg.tensor(data)


def test_from_numpy_refuses_what_it_cannot_share() -> None:
    with pytest.raises(TypeError, match="takes a NumPy array, not list"):
        tg.from_numpy([1.0])
    with pytest.raises(TypeError, match="float16"):
        tg.from_numpy(np.zeros(2, "float16"))
    a = np.zeros(2)
    a.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        tg.from_numpy(a)
    packed = np.zeros(2, [("flag", "u1"), ("value", "f4")])["value"]
    with pytest.raises(ValueError, match="aligned"):
        tg.from_numpy(packed)


def test_creation() -> None:
    same(tg.zeros(2, 3), np.zeros((2, 3)), "float32")
    same(tg.zeros((2, 3), dtype="int64"), np.zeros((2, 3), int))
    same(tg.ones([2]), np.ones(2), "float32")
    same(tg.ones(()), np.ones(()), "float32")
    same(tg.full((2,), 7), np.full(2, 7))
    same(tg.full(2, 1.5), np.full(2, 1.5), "float32")
    same(tg.full((), True), np.full((), True))
    same(tg.empty(2), np.zeros(2), "float32")
    same(tg.eye(2, 3), np.eye(2, 3), "float32")
    same(tg.arange(5), np.arange(5))
    same(tg.arange(1, 2, 0.25), np.arange(1, 2, 0.25), "float32")
    same(tg.arange(5, 0, -2), np.arange(5, 0, -2))
    same(tg.arange(3, dtype="float64"), np.arange(3.0))
    same(tg.linspace(0, 1, 5), np.linspace(0, 1, 5), "float32")
    x = tg.ones(2, dtype="float64")
    for like in (tg.zeros_like, tg.ones_like, tg.empty_like, tg.rand_like, tg.randn_like):
        assert (like(x).shape, like(x).dtype) == ((2,), "float64")
    same(tg.full_like(x, 3), np.full(2, 3.0))
    assert tg.randint_like(x, 5).dtype == "float64"
    assert tg.zeros_like(x, dtype="int64").dtype == "int64"
    assert tg.zeros(2, requires_grad=True).requires_grad
    assert tg.ones_like(x, requires_grad=True).is_leaf


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tg.zeros(2.5), TypeError, "shape is made of"),
        (lambda: tg.zeros("ab"), TypeError, "shape is made of"),
        (lambda: tg.zeros(-2), (TypeError, ValueError), "negative"),
        (lambda: tg.zeros(-1), (TypeError, ValueError), "negative"),
        (lambda: tg.arange(0, 5, 0), ValueError, "step must not be 0"),
        (lambda: tg.zeros(2, dtype="int64", requires_grad=True), RuntimeError, "only floating"),
        (lambda: tg.tensor([1], requires_grad=True), RuntimeError, "only floating tensors"),
        (lambda: tg.randint(5, 5), ValueError, "high must be above low"),
        (lambda: tg.rand(2, dtype="int64"), TypeError, "use randint"),
        (lambda: tg.manual_seed("a"), TypeError, "seed must be an integer"),
        (lambda: tg.manual_seed(1.5), TypeError, "seed must be an integer"),
    ],
)
def test_creation_refuses(call, error, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# --- in print ---


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tg.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (lambda: tg.tensor(1.5), "tensor(1.5)"),
        (lambda: tg.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: tg.tensor(True), "tensor(True)"),
        (lambda: tg.ones(2, dtype="float64"), "tensor([1., 1.], dtype=float64)"),
        (lambda: tg.ones(2, dtype="int32"), "tensor([1, 1], dtype=int32)"),
        (lambda: tg.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: tg.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<mul>)"),
        (lambda: tg.ones(1, requires_grad=True).sum(), "tensor(1., grad_fn=<sum>)"),
        (lambda: tg.zeros(0), "tensor([], dtype=float32)"),
        (lambda: tg.zeros(0, 3), "tensor([], shape=(0, 3), dtype=float32)"),
        (lambda: tg.tensor([[1.0], [2.0]]), "tensor([[1.],\n        [2.]])"),
        (lambda: tg.tensor([float("nan"), float("inf")]), "tensor([nan, inf])"),
        (lambda: tg.tensor(1 / 3), "tensor(0.3333)"),
    ],
)
def test_repr(make, text: str) -> None:
    assert repr(make()) == str(make()) == text


def test_long_tensors_are_abridged() -> None:
    assert len(repr(tg.zeros(100, 100))) < 500
    assert "..." in repr(tg.zeros(2000))


def test_format() -> None:
    assert f"{tg.tensor(1.23456):.2f}" == "1.23"
    assert f"{tg.tensor(7):03d}" == "007"
    assert f"{tg.ones(2)}" == "tensor([1., 1.])"
    with pytest.raises(TypeError, match="format"):
        f"{tg.ones(2):.2f}"


# --- to Python ---


def test_one_element_is_a_number() -> None:
    for value in (1.5, 3, True):
        for t in (tg.tensor(value), tg.tensor([[value]])):
            assert t.item() == value
            assert type(t.item()) is type(value)
            assert (int(t), float(t), bool(t)) == (int(value), float(value), bool(value))
    assert [10, 20, 30][tg.tensor(1)] == 20
    for convert in (lambda t: t.item(), int, float, bool):
        with pytest.raises(ValueError, match=r"shape \(2,\)"):
            convert(tg.ones(2))
    with pytest.raises(TypeError, match="integer tensor is an index"):
        [1, 2][tg.tensor(1.0)]


def test_len_and_iteration() -> None:
    t = tg.tensor([[1, 2], [3, 4], [5, 6]])
    assert len(t) == 3
    assert [row.tolist() for row in t] == t.tolist() == [[1, 2], [3, 4], [5, 6]]
    a, b = tg.tensor([7, 8])
    assert (a.item(), b.item()) == (7, 8)
    for refused in (len, iter):
        with pytest.raises(TypeError, match="0-d"):
            refused(tg.tensor(1))


def test_iteration_is_differentiable() -> None:
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    sum(row * k for k, row in enumerate(x)).backward()
    assert x.grad.tolist() == [0, 1, 2]


def test_membership() -> None:
    assert 2 in tg.tensor([1, 2])
    assert 5 not in tg.tensor([1, 2])
    assert 2 in tg.tensor([[1, 2], [3, 4]])


def test_comparison_with_other_types() -> None:
    t = tg.ones(2)
    assert t != None  # noqa: E711
    assert t != "text"
    assert t not in (None, "mean")
    with pytest.raises(TypeError, match="must be a tensor or a number, not NoneType"):
        _ = t < None


def test_hash_is_identity() -> None:
    a, b = tg.ones(2), tg.ones(2)
    assert len({a, b, a}) == 2
    assert {a: 1}[a] == 1


def test_size_and_friends() -> None:
    t = tg.zeros(2, 3)
    assert (t.size(), t.size(0), t.size(-1), t.dim(), t.ndim, t.numel()) == ((2, 3), 2, 3, 2, 2, 6)
    assert t.T.shape == t.mT.shape == (3, 2)
    assert (t.is_contiguous(), t.T.is_contiguous()) == (True, False)
    assert t.data.storage is t.storage
    with pytest.raises(IndexError, match="dim 2 is out of range"):
        t.size(2)


def test_conversions() -> None:
    t = tg.tensor([0.0, 1.7, -1.7])
    assert t.long().tolist() == [0, 1, -1]
    assert t.bool().tolist() == [False, True, True]
    assert (t.double().dtype, t.float().dtype) == ("float64", "float32")
    assert t.to("float32") is t.float() is t
    assert t.to(tg.ones(1, dtype="float64")).dtype == "float64"
    assert t.to(np.float64).dtype == tg.float64
    assert tg.tensor([1, 0]).to(bool).dtype == tg.bool
    assert tg.tensor([2.0], requires_grad=True).double().requires_grad


# --- copies ---


def test_deepcopy() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x * 2).sum().backward()
    twin = copy.deepcopy(x)
    assert (twin.tolist(), twin.requires_grad, twin.grad.tolist()) == ([1, 2], True, [2, 2])
    twin.grad.zero_()
    with tg.no_grad():
        twin.zero_()
    assert (x.tolist(), x.grad.tolist()) == ([1, 2], [2, 2])
    with pytest.raises(RuntimeError, match="not a leaf"):
        copy.deepcopy(x * 2)


def test_deepcopy_keeps_what_is_one_tensor_one() -> None:
    x = tg.ones(2)
    a, b = copy.deepcopy([x, x])
    assert a is b
    assert a is not x


@pytest.mark.parametrize(
    "make",
    [
        lambda: tg.ones(2, 3)[:, ::2],
        lambda: tg.tensor(1, dtype="int32"),
        lambda: tg.zeros(0, 2),
        lambda: tg.ones(2, 3).T,
    ],
)
def test_pickle_and_deepcopy_of_any_layout(make) -> None:
    t = make()
    for twin in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), copy.copy(t)):
        same(twin, t.numpy())
        assert isinstance(twin, tg.Tensor)
        assert (twin.is_leaf, twin.requires_grad) == (True, False)


def test_pickle() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    twin = pickle.loads(pickle.dumps(x))
    assert (twin.tolist(), twin.requires_grad) == ([1, 2], True)
    with pytest.raises(RuntimeError, match="not a leaf"):
        pickle.dumps(x * 2)


def test_requires_grad() -> None:
    x = tg.ones(2)
    assert x.requires_grad_() is x
    assert x.requires_grad_(False).requires_grad is False
    with pytest.raises(RuntimeError, match="only floating"):
        tg.tensor([1]).requires_grad_()
    y = x.requires_grad_() * 2
    with pytest.raises(RuntimeError, match="only a leaf"):
        y.requires_grad_(False)


# --- operators on the wrong things ---


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t + "a", TypeError, "add: `y` must be a tensor or a number, not str"),
        (lambda t: t * [1, 2, 3], TypeError, "not list"),
        (lambda t: None * t, TypeError, "mul: `x` must be a tensor or a number, not NoneType"),
        (lambda t: t + tg.ones(4), ValueError, r"add: shapes do not broadcast: x \(3,\), y \(4,\)"),
        (lambda t: t @ tg.ones(4), ValueError, r"\(3,\) @ \(4,\)"),
        (lambda t: t @ tg.tensor(1.0), ValueError, "need a dimension"),
        (lambda t: t @ 3, TypeError, "takes two tensors, not int"),
        (lambda t: tg.ones(2, 3) @ tg.ones(2, 3), ValueError, "last size of the first, 3"),
        (lambda t: tg.ones(2, 2, 3) @ tg.ones(3, 3, 2), ValueError, "do not broadcast"),
        (lambda t: ~t, TypeError, "bitwise_not takes bool and integer tensors"),
        (lambda t: t & t, TypeError, "bitwise_and takes bool and integer"),
        (lambda t: -(t > 0), TypeError, "neg is not defined for bool tensors"),
        (lambda t: (t > 0) - (t > 0), TypeError, "sub is not defined for bool tensors"),
        (lambda t: t.sum(3), IndexError, "dim 3 is out of range"),
        (lambda t: t.sum("a"), TypeError, "dim must be an integer"),
        (lambda t: t.sum((0, 0)), ValueError, "names an axis twice"),
        (lambda t: t.long().mean(), TypeError, "mean takes a floating tensor"),
        (lambda t: tg.softmax(t.long()), TypeError, "floating tensors"),
        (lambda t: tg.zeros(0).amax(), ValueError, "amax of no elements"),
        (lambda t: tg.zeros(2, 0).argmax(1), ValueError, "argmax of no elements"),
        (lambda t: t.reshape(2), ValueError, r"shape \(3,\) has 3 elements"),
        (lambda t: t.reshape(-1, -1), ValueError, "cannot have the shape"),
        (lambda t: t.expand(4), ValueError, "only sizes of 1 repeat"),
        (lambda t: t.permute(1), IndexError, "out of range"),
        (lambda t: tg.ones(2, 2).permute(0, 0), ValueError, "each of 2 axes once"),
        (lambda t: tg.ones(2, 3).T.view(6), RuntimeError, "without a copy"),
        (lambda t: tg.cat([]), ValueError, "cat of no tensors"),
        (lambda t: tg.cat([t, tg.ones(2, 2)]), ValueError, r"tensor 1 has shape \(2, 2\)"),
        (lambda t: tg.stack([t, tg.ones(2)]), ValueError, "one shape"),
        (lambda t: tg.where(t, t, t), TypeError, "`condition` must be a bool tensor"),
        (lambda t: tg.clamp(t), ValueError, "give min, max, or both"),
        (lambda t: t.split(0), ValueError, "at least 1"),
        (lambda t: t.split([1, 1]), ValueError, "do not sum to 3"),
        (lambda t: t.chunk(0), ValueError, "chunks must be at least 1"),
        (lambda t: t.gather(0, tg.tensor([[0]])), (IndexError, ValueError), "dimensions"),
        (lambda t: t.nothing, AttributeError, "nothing"),
        (lambda t: tg.exp(t, t), TypeError, "takes 1 tensor"),
    ],
)
def test_errors_say_what_is_wrong(call, error, message: str) -> None:
    with pytest.raises(error, match=message):
        call(tg.ones(3))


@pytest.mark.parametrize("wrong", [(False, True), (0.0, 1.0), ([0], [1])])
def test_transpose_of_a_matrix_takes_integers(wrong) -> None:
    """Which the quick way of a matrix does not let through."""
    with pytest.raises(TypeError, match="must be an integer"):
        tg.ones(2, 3).transpose(*wrong)
    assert tg.ones(2, 3).transpose(np.int64(0), np.int64(1)).shape == (3, 2)


# --- undoing broadcasting ---


@pytest.mark.parametrize("size", [(2, 3), (1, 3), (2, 1), (1, 1), (3,), (1,), ()])
def test_sum_to_size_sums_over_repeated_axes(size: tuple) -> None:
    x = tg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    summed = x.sum_to_size(size)
    assert summed.shape == size
    y = tg.zeros(size, dtype=tg.float64, requires_grad=True)
    (y.expand(2, 3) * x.detach()).sum().backward()
    np.testing.assert_array_equal(summed.detach().numpy(), y.grad.numpy())
    summed.sum().backward()
    assert x.grad.tolist() == [[1] * 3] * 2
    assert x.sum_to_size(*size).shape == size


@pytest.mark.parametrize("size", [(4, 3), (1, 2, 3), (2,), (0,)])
def test_sum_to_size_needs_a_size_that_broadcasts(size: tuple) -> None:
    with pytest.raises(
        ValueError, match=r"sum_to_size: .* does not broadcast to the shape \(2, 3\)"
    ):
        tg.ones(2, 3).sum_to_size(size)
