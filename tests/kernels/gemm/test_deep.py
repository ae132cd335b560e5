"""Products in chunks: correct, the same on any number of threads, and used where intended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.kernels import gemm
from tinygrad_mlp.kernels.gemm.deep import chunks_of
from tinygrad_mlp.kernels.runtime.layout import layout_of

SHAPES = [(3, 300, 100), (100, 300, 2), (10, 4096, 10), (64, 256, 64), (2, 512, 2), (65, 390, 33)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_threads(
    shape: tuple[int, int, int], transposed: bool, dtype: str, use_threads: Callable[[int], None]
) -> None:
    M, K, N = shape
    assert chunks_of(M, N, K) > 1
    draw = np.random.default_rng(0)
    a = (
        draw.standard_normal((K, M)).astype(dtype).T
        if transposed
        else (draw.standard_normal((M, K)).astype(dtype))
    )
    b = draw.standard_normal((K, N)).astype(dtype)
    x = tg.tensor(np.ascontiguousarray(a.T)).T if transposed else tg.tensor(a)
    results = []
    for count in (1, 2, 3, 8):
        use_threads(count)
        results.append((x @ tg.tensor(b)).numpy().copy())
    assert all(np.array_equal(each, results[0]) for each in results)
    wanted = a.astype("float64") @ b.astype("float64")
    np.testing.assert_allclose(
        results[0], wanted, rtol=0, atol=20 * np.finfo(dtype).eps * np.sqrt(K) * 3
    )


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((1, 4096, 10), "one row is read once anyway"),
        ((100, 300, 100), "many elements for each thread"),
        ((10, 128, 10), "short sums"),
        ((10, 509, 10), "a prime has no chunks"),
    ],
)
def test_others_stay_whole(shape: tuple[int, int, int], why: str) -> None:
    M, K, N = shape
    assert chunks_of(M, N, K) == 1, why
    layouts = [layout_of(s, (4 * s[1], 4), np.dtype("float32")) for s in ((M, K), (K, N), (M, N))]
    assert isinstance(gemm.plan_deep(*layouts), gemm.Plan)


def test_chunks_are_equal_and_not_too_small() -> None:
    for K in range(256, 5000):
        count = chunks_of(4, 4, K)
        assert K % count == 0
        assert 1 <= count <= 64
        assert count == 1 or K // count >= 64
