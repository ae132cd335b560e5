"""Folds over more than one block, in every layout: against NumPy in higher precision."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.ops.reduce import sum_of_squares

# Below, at and above the sizes of blocks: 512 elements, 16 rows; and of strips: 8 KB of columns.
SHAPES = [
    (1100,),
    (511,),
    (512,),
    (513,),
    (3, 700),
    (700, 3),
    (15, 5),
    (16, 5),
    (17, 5),
    (130, 300),
    (17, 1025),
    (41, 8200),
    (2, 65, 257),
    (65, 2, 3),
    (5, 1, 600),
    (4, 3, 2, 70),
]


def all_axes(ndim: int) -> list[tuple[int, ...]]:
    return [axes for n in range(1, ndim + 1) for axes in itertools.combinations(range(ndim), n)]


CASES = [(shape, axes) for shape in SHAPES for axes in all_axes(len(shape))]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    generator = np.random.default_rng([len(shape), *shape])
    if dtype == "int64":
        return generator.integers(-1000, 1000, shape)
    return generator.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axes"), CASES, ids=str)
def test_sum_and_mean(shape: tuple, axes: tuple, dtype: str) -> None:
    """The error of a pairwise sum grows with the logarithm of the number of elements."""
    a = numbers(shape, dtype)
    wide = a.astype(np.longdouble)
    count = int(np.prod([shape[k] for k in axes]))
    bound = (np.log2(count) + 10) * np.finfo(dtype).eps * abs(wide).sum(axes)
    total = tg.tensor(a).sum(axes)
    assert total.dtype == dtype
    assert (abs(total.numpy() - wide.sum(axes)) <= bound).all()
    mean = tg.tensor(a).mean(axes).numpy()
    assert (abs(mean - wide.mean(axes)) <= bound / count + np.finfo(dtype).eps * abs(mean)).all()


@pytest.mark.parametrize(("shape", "axes"), CASES, ids=str)
def test_folds_that_do_not_round(shape: tuple, axes: tuple) -> None:
    a, whole = numbers(shape, "float64"), numbers(shape, "int64")
    t, integers = tg.tensor(a), tg.tensor(whole)
    np.testing.assert_array_equal(t.amax(axes).numpy(), a.max(axes))
    np.testing.assert_array_equal(t.amin(axes).numpy(), a.min(axes))
    np.testing.assert_array_equal(integers.sum(axes).numpy(), whole.sum(axes))
    np.testing.assert_array_equal((integers > 998).any(axes).numpy(), (whole > 998).any(axes))
    np.testing.assert_array_equal((integers < 999).all(axes).numpy(), (whole < 999).all(axes))


LAYOUTS: dict[str, Callable[[tg.Tensor], tg.Tensor]] = {
    "turned": lambda t: t.T,
    "every second": lambda t: t[::2, ::2],
    "backwards": lambda t: t[::-1, ::-1],
    "a strip": lambda t: t[:, 20:270],
    "last column": lambda t: t[:, -1:],
    "a row, repeated": lambda t: t[:1].expand(70, -1),
    "a column, repeated": lambda t: t[:, :1].expand(-1, 70),
    "permuted": lambda t: t.reshape(13, 10, 300).permute(2, 0, 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    """The order of additions may depend on strides; the result of a maximum may not."""
    t = LAYOUTS[layout](tg.tensor(numbers((130, 300), "float64")))
    a = t.numpy().copy()
    for axes in all_axes(t.ndim):
        np.testing.assert_allclose(t.sum(axes).numpy(), a.sum(axes), rtol=0, atol=1e-12 * a.size)
        np.testing.assert_array_equal(t.amax(axes).numpy(), a.max(axes))
    for axis in range(t.ndim):
        np.testing.assert_array_equal(t.argmax(axis).numpy(), a.argmax(axis))
        np.testing.assert_array_equal(t.argmin(axis).numpy(), a.argmin(axis))


@pytest.mark.parametrize("place", [0, 1, 127, 128, 511, 512, 999])
def test_nan_anywhere(place: int) -> None:
    a = numbers((1000,), "float64")
    a[place] = np.nan
    for t in (tg.tensor(a), tg.tensor(np.stack([a] * 3, 1))[:, 1]):
        for fold in (t.sum, t.mean, t.amax, t.amin, t.prod):
            assert np.isnan(fold().item())
        assert t.argmax().item() == t.argmin().item() == place
    column = tg.tensor(np.stack([np.zeros(1000), a], 1))
    assert np.isnan(column.amax(0).numpy()).tolist() == [False, True]


def test_infinities() -> None:
    a = numbers((600,), "float64")
    a[300] = np.inf
    t = tg.tensor(a)
    assert (t.sum().item(), t.amax().item(), t.argmax().item()) == (np.inf, np.inf, 300)
    a[10] = -np.inf
    assert np.isnan(tg.tensor(a).sum().item())
    assert tg.full((5,), -np.inf).amax().item() == -np.inf


def test_a_long_float32_sum_keeps_its_digits() -> None:
    assert tg.full((3_000_000,), 0.1).mean().item() == np.float32(0.1)
    assert tg.ones(2**24 + 2).sum().item() == 2**24 + 2
    exact = 100_000 * float(np.float32(0.1))
    for columns in (3, 200, 1100):
        totals = tg.full((100_000, columns), 0.1).sum(0).numpy()
        assert abs(totals - exact).max() < 4 * np.spacing(np.float32(exact)), columns


# Beyond the sizes from which a fold is cut into parts, and around those of lanes and blocks.
LARGE = [
    (300_001,),
    (3, 131_072),
    (100_003, 3),
    (40_000, 128),
    (16_391, 129),
    (5, 20_011, 3),
    (70_000, 2, 2),
    (2_048, 1_030),
]


@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_folds_in_parts(shape: tuple) -> None:
    a = np.random.default_rng(shape[0]).standard_normal(shape)
    a[tuple(n // 2 for n in shape)] = 7.0
    t, whole = tg.tensor(a), tg.tensor((100 * a).astype(np.int64))
    for axes in all_axes(len(shape)):
        count = int(np.prod([shape[k] for k in axes]))
        np.testing.assert_allclose(t.sum(axes).numpy(), a.sum(axes), atol=1e-13 * count)
        np.testing.assert_allclose(t.mean(axes).numpy(), a.mean(axes), atol=1e-13)
        squares = sum_of_squares(t, axes).numpy()
        np.testing.assert_allclose(squares, (a * a).sum(axes), rtol=1e-12)
        np.testing.assert_array_equal(t.amax(axes).numpy(), a.max(axes))
        np.testing.assert_array_equal(whole.sum(axes).numpy(), whole.numpy().sum(axes))
        np.testing.assert_array_equal((t > 6.5).any(axes).numpy(), (a > 6.5).any(axes))


def test_products() -> None:
    a = np.random.default_rng(0).uniform(0.9, 1.1, (70, 300))
    for axes in all_axes(2):
        folded = tg.tensor(a)
        for axis in reversed(axes):
            folded = folded.prod(axis)
        np.testing.assert_allclose(folded.numpy(), a.prod(axes), rtol=1e-10)
    assert tg.tensor([3, 5, 7]).prod().item() == 105
    assert tg.zeros(0).prod().item() == 1


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 15, 16, 17, 33, 100, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_long_rows(columns: int, dtype: str) -> None:
    a = 5 * np.random.default_rng(columns).standard_normal((6, columns))
    t, wide = tg.tensor(a, dtype=dtype), a.astype(dtype).astype(np.longdouble)
    shifted = wide - wide.max(1, keepdims=True)
    e = np.exp(shifted)
    bound = 20 * np.finfo(dtype).eps
    for found, wanted in [
        (tg.softmax(t), e / e.sum(1, keepdims=True)),
        (tg.log_softmax(t), shifted - np.log(e.sum(1, keepdims=True))),
        (tg.logsumexp(t), wide.max(1) + np.log(e.sum(1))),
    ]:
        assert (abs(found.numpy() - wanted) <= bound * np.maximum(abs(wanted), 1)).all()


def test_softmax_of_extreme_rows() -> None:
    inf, nan = np.inf, np.nan
    rows = tg.tensor([[1e30, 0.0], [-1e30, 0.0], [-inf, 0.0], [-inf, -inf], [inf, 0.0], [nan, 0.0]])
    np.testing.assert_array_equal(
        tg.softmax(rows).numpy(), [[1, 0], [0, 1], [0, 1], [nan, nan], [nan, nan], [nan, nan]]
    )
    np.testing.assert_array_equal(
        tg.logsumexp(rows).numpy(), np.float32([1e30, 0, 0, -inf, inf, nan])
    )
    np.testing.assert_array_equal(
        tg.log_softmax(rows).numpy()[:3], np.float32([[0, -1e30], [-1e30, 0], [-inf, 0]])
    )
