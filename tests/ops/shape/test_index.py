"""Indexing, slicing and assignment, basic and advanced: as NumPy where that agrees with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_mlp as tg

SHAPES = npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(float(np.prod(shape))).reshape(shape)


@st.composite
def keys(draw, shape: tuple[int, ...]):
    """A key of slices, None, ``...``, and integers or else one index array.

    With several arrays, or integers and an array, NumPy and PyTorch may place axes differently.
    """
    advanced = draw(st.integers(-1, len(shape) - 1))
    parts = []
    for axis, size in enumerate(shape):
        if axis == advanced:
            places = draw(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
            numbers = st.integers(-size, size - 1)
            parts.append(
                draw(
                    st.one_of(
                        npst.arrays(bool, (size,)), npst.arrays(np.int64, places, elements=numbers)
                    )
                )
            )
        elif advanced < 0 and draw(st.booleans()):
            parts.append(draw(st.integers(-size, size - 1)))
        else:
            parts.append(draw(st.slices(size)))
    first = draw(st.integers(0, len(parts)))
    last = draw(st.integers(first, len(parts)))
    if draw(st.booleans()):
        parts[first:last] = [Ellipsis]
    elif first:
        parts[first:] = []
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return tuple(parts)


def for_tensor(key):
    """Index arrays as tensors (the others as they are)."""
    return tuple(tg.tensor(p) if isinstance(p, np.ndarray) else p for p in key)


@given(data=st.data(), shape=SHAPES)
@settings(max_examples=200)
def test_getitem(data: st.DataObject, shape: tuple[int, ...]) -> None:
    a = numbered(shape)
    key = data.draw(keys(shape))
    wanted = np.asarray(a[key])
    for given_key in (key, for_tensor(key)):
        found = tg.tensor(a)[given_key]
        assert found.shape == wanted.shape
        assert found.tolist() == wanted.tolist()


@given(data=st.data(), shape=SHAPES)
@settings(max_examples=200)
def test_setitem(data: st.DataObject, shape: tuple[int, ...]) -> None:
    a = numbered(shape)
    key = data.draw(keys(shape))
    part = np.asarray(a[key]).shape
    lead = data.draw(st.integers(0, len(part)))
    value = -1 - numbered(part[lead:])
    t = tg.tensor(a)
    t[for_tensor(key)] = tg.tensor(value)
    a[key] = value
    assert t.tolist() == a.tolist()
    t[for_tensor(key)] = 7
    a[key] = 7
    assert t.tolist() == a.tolist()


@given(data=st.data(), shape=SHAPES)
@settings(max_examples=60)
def test_gradient_of_getitem(data: st.DataObject, shape: tuple[int, ...]) -> None:
    """Each element gets the sum of the gradients of where it went."""
    x = tg.tensor(numbered(shape), requires_grad=True)
    key = data.draw(keys(shape))
    out = x[for_tensor(key)]
    g = np.random.default_rng(0).normal(size=out.shape)
    out.backward(g)
    wanted = np.zeros(shape)
    np.add.at(wanted, key, g)
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-12)


@given(data=st.data(), shape=SHAPES)
@settings(max_examples=60)
def test_gradient_of_setitem(data: st.DataObject, shape: tuple[int, ...]) -> None:
    """What was overwritten gets none; the value gets that of where it stands now."""
    key = data.draw(keys(shape))
    written = np.zeros(shape, int)
    np.add.at(written, key, 1)
    assume(written.max() <= 1)  # written twice: see test_assign_duplicates.py
    x = tg.tensor(numbered(shape), requires_grad=True)
    part = np.asarray(numbered(shape)[key])
    v = tg.tensor(part, requires_grad=True)
    y = x * 1
    y[for_tensor(key)] = v
    g = np.random.default_rng(0).normal(size=shape)
    y.backward(g)
    untouched = g.copy()
    untouched[key] = 0
    np.testing.assert_array_equal(x.grad.numpy(), untouched)
    np.testing.assert_array_equal(v.grad.numpy(), g[key])


def ints(*values):
    return np.array(values, int)


@pytest.mark.parametrize(
    "key",
    [
        np.s_[::-1],
        np.s_[..., ::-2],
        np.s_[None],
        np.s_[..., None],
        np.s_[1, ..., 1],
        np.s_[-1],
        np.s_[()],
        np.s_[...],
        np.s_[5:2],
        np.s_[:, None, 1],
        np.s_[-2:],
        np.s_[np.int64(2)],
        np.s_[ints(0, 2)],
        np.s_[np.array([True, False, True])],
        np.s_[:, ints(0, 0, 3)],
        np.s_[ints(0, 1), ints(3, 2)],
        np.s_[np.array([[0], [1]]), ints(3, 2)],
        np.s_[:, ints(1, 2), ints(0, 0)],
        np.s_[ints(0, 1), :, ints(1, 1)],
        np.s_[ints()],
        np.s_[..., ints(0)],
        np.s_[np.array(1)],
        np.s_[ints(-1, -3)],
        np.s_[np.uint8([1, 0])],
        np.s_[..., ints(1, 0), ints(1, 1)],
        np.s_[ints(1), None],
        np.s_[None, ints(1), ::-1],
        np.s_[np.eye(3, 4) > 0],
        np.s_[:, np.eye(4, 2) > 0],
        np.s_[np.eye(3, 4) > 0, ints(0, 1, 1)],
    ],
    ids=str,
)
def test_keys_by_name(key) -> None:
    """Arrays, lists and tensors mean the same."""
    a = numbered((3, 4, 2))
    parts = key if isinstance(key, tuple) else (key,)
    wanted = a[key]
    tensors = tuple(tg.tensor(p) if isinstance(p, np.ndarray) else p for p in parts)
    lists = tuple(p.tolist() if isinstance(p, np.ndarray) and p.ndim else p for p in parts)
    for given_key in (key, tensors, lists, lists[0] if len(lists) == 1 else lists):
        found = tg.tensor(a)[given_key]
        assert found.tolist() == wanted.tolist()
        assert found.shape == wanted.shape


def test_masks() -> None:
    a = numbered((3, 4))
    t = tg.tensor(a)
    assert t[t > 4].tolist() == a[a > 4].tolist()
    assert t[tg.tensor([True, False, True])].tolist() == a[[True, False, True]].tolist()
    assert t[:, tg.tensor([True, False, False, True])].shape == (3, 2)
    assert t[t < 0].shape == (0,)
    t[t > 4] = 0
    a[a > 4] = 0
    assert t.tolist() == a.tolist()
    x = tg.ones(2, 2, requires_grad=True)
    (x * 3)[tg.tensor([[True, False], [False, True]])].sum().backward()
    assert x.grad.tolist() == [[3, 0], [0, 3]]


def test_masks_of_0d_tensors() -> None:
    t = tg.tensor(3.0)
    t[t > 1] = 5.0
    assert t.item() == 5
    t[t < 1] = 7.0
    assert t.item() == 5
    assert t[t > 1].tolist() == [5]
    x = tg.tensor(2.0, requires_grad=True)
    y = x * 3
    y[tg.tensor(True)] = x * x
    y.backward()
    assert x.grad.item() == 4


def test_a_slice_is_a_view_an_index_tensor_copies() -> None:
    t = tg.zeros(3, 2)
    t[1:].fill_(1)
    t[0][1] = 5.0
    copy = t[tg.tensor([0])]
    copy.fill_(9)
    assert t.tolist() == [[0, 5], [1, 1], [1, 1]]


def test_bounds_may_be_tensors_and_are_read_each_time() -> None:
    t, n = tg.arange(5), tg.tensor(2)
    assert t[:n].tolist() == [0, 1]
    n.add_(1)
    assert t[:n].tolist() == [0, 1, 2]
    assert t[n].item() == 3
    assert t[np.int64(1) : np.int32(4)].tolist() == [1, 2, 3]


def test_an_element_taken_twice_gets_both_gradients() -> None:
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[tg.tensor([0, 0, 2])].backward(tg.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [11, 0, 100]


def test_narrow_index_dtypes() -> None:
    t = tg.arange(300)
    assert t[tg.tensor([200, 5], dtype="uint8")].tolist() == [200, 5]
    assert t[tg.tensor([-1], dtype="int32")].tolist() == [299]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (tg.ones(1, 3), [1, 1, 1]),
        (tg.ones(1, 1, 1), [1, 1, 1]),
        (np.ones(3), [1, 1, 1]),
        (tg.tensor([1, 2, 3]), [1, 2, 3]),
        (True, [1, 1, 1]),
        (np.float64(2), [2, 2, 2]),
    ],
)
def test_assigned_values_broadcast_and_convert(value, wanted) -> None:
    t = tg.zeros(2, 3)
    t[0] = value
    assert t.tolist() == [wanted, [0, 0, 0]]
    assert t.dtype == "float32"
    t[[True, False]] = value
    assert t.tolist() == [wanted, [0, 0, 0]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t[3], IndexError, "3"),
        (lambda t: t[0, 0, 0], IndexError, "3 indices for a tensor of 2 dimensions"),
        (lambda t: t[[0, 5]], IndexError, "index 5 is out of range for an axis of size 3"),
        (lambda t: t[tg.tensor([-4])], IndexError, "index -4"),
        (lambda t: t["a"], TypeError, "cannot index with 'a'"),
        (lambda t: t[1.0], TypeError, "cannot index with 1.0"),
        (lambda t: t[1.5:], TypeError, "integer"),
        (lambda t: t[tg.ones(2)], TypeError, "holds integers or bools"),
        (lambda t: t[tg.tensor([True, False])], IndexError, "mask of shape"),
        (lambda t: t[::0], ValueError, "zero"),
        (lambda t: t[..., ...], (TypeError, IndexError), "Ellipsis|dots"),
        (lambda t: t.__setitem__(0, tg.ones(5)), ValueError, "shape"),
        (lambda t: t.__setitem__([0, 1], tg.ones(5)), ValueError, "shape|broadcast"),
        (lambda t: t.__setitem__(0, "a"), TypeError, "is not supported; a tensor"),
        (lambda t: t.long().__setitem__(0, float("nan")), ValueError, "nan"),
        (lambda t: t.long().fill_(float("inf")), ValueError, "inf cannot be stored"),
    ],
)
def test_wrong_keys_and_values(call, error, message: str) -> None:
    with pytest.raises(error, match=message):
        call(tg.ones(3, 2))


# --- the functions ---


def test_gather_and_index_select() -> None:
    a = numbered((3, 4))
    t = tg.tensor(a, requires_grad=True)
    index = np.array([[0, 3, 1], [2, 2, 0], [1, 0, 3]])
    assert t.gather(1, tg.tensor(index)).tolist() == np.take_along_axis(a, index, 1).tolist()
    rows = np.array([[0, 2, 1, 0]])
    assert t.gather(0, tg.tensor(rows)).tolist() == np.take_along_axis(a, rows, 0).tolist()
    assert t.index_select(1, tg.tensor([3, 0])).tolist() == a[:, [3, 0]].tolist()
    t.gather(1, tg.tensor([[0, 0], [1, 1], [2, 2]])).sum().backward()
    assert t.grad.tolist() == [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]
    with pytest.raises(ValueError, match="index has 1 dimensions, x has 2"):
        t.gather(0, tg.tensor([0]))


def test_max_and_min() -> None:
    t = tg.tensor([[1.0, 5.0, 5.0], [4.0, 2.0, 0.0]], requires_grad=True)
    values, indices = t.max(1)
    assert (values.tolist(), indices.tolist()) == ([5, 4], [1, 0])
    assert t.min(0).values.tolist() == [1, 2, 0]
    assert t.max(1, keepdim=True).values.shape == (2, 1)
    assert t.max().item() == 5
    assert tg.max(t, tg.tensor(3.0)).tolist() == [[3, 5, 5], [4, 3, 3]]
    values.sum().backward()
    assert t.grad.tolist() == [[0, 1, 0], [1, 0, 0]]
    t.grad = None
    t.max().backward()
    assert t.grad.tolist() == [[0, 0.5, 0.5], [0, 0, 0]]
    assert tg.tensor(3.0).max(0).indices.item() == 0


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("descending", [False, True])
def test_argsort_is_stable_both_ways(dtype: str, descending: bool) -> None:
    a = np.array([3, 0, 2, 0, 3, 1]).astype(dtype)
    order = tg.argsort(tg.tensor(a), descending=descending)
    key = -a.astype(int) if descending else a.astype(int)
    assert order.tolist() == np.argsort(key, kind="stable").tolist()
    assert tg.argsort(tg.tensor(a[0]), descending=descending).item() == 0


def test_split_chunk_stack_unbind() -> None:
    t = tg.arange(7)
    assert [p.tolist() for p in t.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [p.tolist() for p in t.split([1, 6])] == [[0], [1, 2, 3, 4, 5, 6]]
    assert [len(p) for p in t.chunk(3)] == [3, 3, 1]
    assert tg.stack([t, t], 1).shape == (7, 2)
    assert tg.stack([tg.tensor(1), tg.tensor(2)]).tolist() == [1, 2]
    assert [p.tolist() for p in tg.eye(2).unbind(1)] == [[1, 0], [0, 1]]
    assert tg.zeros(0, 2).split(2)[0].shape == (0, 2)
    x = tg.ones(4, requires_grad=True)
    a, b = x.chunk(2)
    (a * 2 + b * 3).sum().backward()
    assert x.grad.tolist() == [2, 2, 3, 3]


def test_cat_promotes_and_differentiates() -> None:
    a, b = tg.tensor([1]), tg.tensor([1.5], requires_grad=True)
    c = tg.tensor([2.5], dtype="float64", requires_grad=True)
    joined = tg.cat([a, b, c])
    assert (joined.dtype, joined.tolist()) == ("float64", [1, 1.5, 2.5])
    joined.backward(tg.tensor([1.0, 2.0, 3.0], dtype="float64"))
    assert (b.grad.tolist(), b.grad.dtype) == ([2], "float32")
    assert (c.grad.tolist(), c.grad.dtype) == ([3], "float64")
    turned = tg.cat([tg.ones(2, 3).T, tg.ones(2, 3).T])
    assert turned.is_contiguous()
