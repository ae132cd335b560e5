"""The blocks of a product: each case with sizes just beyond its threshold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.kernels.gemm.test_gemm import LAYOUTS, check, every_kernel, multiply, random, tile_of
from tinygrad_mlp.kernels.gemm import choose as chosen
from tinygrad_mlp.kernels.gemm import inner
from tinygrad_mlp.kernels.gemm import planning as plans


@every_kernel
def test_few_rows_by_a_matrix_far_away(
    unit: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B is read in place, some rows at a time, and the tiles prefetch the next ones."""
    monkeypatch.setattr(chosen, "FAR", 1 << 10)
    height, width, lanes = tile_of(unit, dtype)
    for m in (1, height, 2 * height - 1):
        for n in (width, 2 * width + lanes, 2 * width + 3):
            a, b = random(m, 100, dtype=dtype), random(100, n, dtype=dtype, seed=1)
            check(multiply(a, b, unit=unit), a, b)


@every_kernel
@pytest.mark.parametrize("lie", LAYOUTS)
def test_panels_are_packed_together(
    lie: Callable[[np.ndarray], np.ndarray], unit: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several panels are packed at a time, and kept for the next blocks of rows."""
    height, width, _ = tile_of(unit, dtype)
    for block_m, m in ((2 * height, 5 * height + 1), (1000, 3 * height)):
        monkeypatch.setattr(plans, "_BLOCKS", (block_m, *plans._BLOCKS[1:]))
        for panels in (3, 4, 9):
            a, b = random(m, 40, dtype=dtype), random(40, panels * width + 1, dtype=dtype, seed=1)
            check(multiply(a, lie(b), unit=unit), a, b)


@every_kernel
def test_rows_a_page_apart(unit: str, dtype: str) -> None:
    """They would compete for one set of the cache, so they are copied."""
    height, width, _ = tile_of(unit, dtype)
    a = random(2 * height + 1, 4096 // np.dtype(dtype).itemsize, dtype=dtype)[:, :70]
    assert a.strides[0] == chosen.PAGE
    b = random(70, 8 * width + 1, dtype=dtype, seed=1)
    check(multiply(a, b, unit=unit), a, b)
    row = np.broadcast_to(a[:1], a.shape)  # 0 bytes apart
    check(multiply(row, b, unit=unit), row, b)


@every_kernel
def test_dot_products_of_more_rows_than_the_cache_holds(unit: str, dtype: str) -> None:
    a, b = random(800, 300, dtype=dtype), random(9, 300, dtype=dtype, seed=1).T
    assert a.nbytes > inner.NEAR
    check(multiply(a, b, unit=unit, form="inner"), a, b)
