"""The matrix product, kernel by kernel: each vector unit that this machine has, both dtypes."""

from __future__ import annotations

from collections.abc import Callable

import llvmlite.binding
import numpy as np
import pytest

from tests.kernels.scripts import run
from tinygrad_mlp.kernels import gemm, tile
from tinygrad_mlp.kernels.launch import Launch
from tinygrad_mlp.kernels.memory import address_of, scratch
from tinygrad_mlp.kernels.threads import get_num_threads

NEEDED = {"avx512": {"avx512f"}, "avx2": {"avx2", "fma"}, "neon": {"neon"}, "plain": set()}
FEATURES = {name for name, there in llvmlite.binding.get_host_cpu_features().items() if there}
UNITS = [unit for unit, features in NEEDED.items() if features <= FEATURES]
DTYPES = ["float32", "float64"]
EVERY_KERNEL = [(unit, dtype) for unit in UNITS for dtype in DTYPES]
GUARD = 64  # elements

every_kernel = pytest.mark.parametrize(("unit", "dtype"), EVERY_KERNEL)


def multiply(
    a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None, *, unit: str
) -> np.ndarray:
    """``a @ b + bias`` of one product or a batch; the memory around the result stays as it was."""
    dtype = a.dtype
    a3, b3 = (x if x.ndim == 3 else x[None] for x in (a, b))
    (batch, m, k), n = a3.shape, b3.shape[2]
    size = batch * m * n
    memory = np.full(size + 2 * GUARD, -7.25, dtype)
    c = memory[GUARD : GUARD + size].reshape(batch, m, n)
    per_thread = gemm.scratch_bytes(str(dtype), unit)
    constants = [batch, *(x.strides[0] for x in (a3, b3, c)), m, n, k,
                 *a3.strides[1:], *b3.strides[1:], n * dtype.itemsize,
                 int(bias is not None), per_thread]  # fmt: skip
    launch = Launch(gemm.address(str(dtype), unit), 6, constants, 1e9)
    row = 0 if bias is None else address_of(bias)
    count = get_num_threads()
    room = scratch(per_thread * count)
    launch(*map(address_of, (a3, b3)), row, address_of(c), room, count)
    assert (memory[:GUARD] == -7.25).all(), "wrote before C"
    assert (memory[GUARD + size :] == -7.25).all(), "wrote behind C"
    return c if a.ndim == 3 or b.ndim == 3 else c[0]


def random(*shape: int, dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def check(found: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Equal to float64, within what rounding K products and K sums can do (Higham, section 3.5)."""
    wide = [np.asarray(x, np.longdouble) for x in (a, b, 0.0 if bias is None else bias)]
    wanted = wide[0] @ wide[1] + wide[2]
    size = np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(wide[2])
    steps = a.shape[-1] + 2
    assert found.shape == wanted.shape
    assert (np.abs(found - wanted) <= steps * np.finfo(a.dtype).eps / 2 * size).all()


def row_major(x: np.ndarray) -> np.ndarray:
    return x.copy()


def column_major(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(np.swapaxes(x, -1, -2).copy(), -1, -2)


def padded(x: np.ndarray) -> np.ndarray:
    """Rows with NaN between and around them: whoever reads too far gets it back."""
    room = np.full((*x.shape[:-2], x.shape[-2] + 2, x.shape[-1] + 37), np.nan, x.dtype)
    room[..., 1:-1, 5 : 5 + x.shape[-1]] = x
    return room[..., 1:-1, 5 : 5 + x.shape[-1]]


def strided(x: np.ndarray) -> np.ndarray:
    """Every second row backwards, every third column; NaN in all the others."""
    room = np.full((*x.shape[:-2], 2 * x.shape[-2] + 1, 3 * x.shape[-1] + 2), np.nan, x.dtype)
    view = room[..., 1::2, 1::3][..., ::-1, : x.shape[-1]]
    view[...] = x
    return view


LAYOUTS = [row_major, column_major, padded, strided]


def test_every_machine_has_the_plain_kernel_and_its_own() -> None:
    assert "plain" in UNITS
    assert tile.host() in UNITS
    assert tile.host() == UNITS[0], "a wider unit than the one in use"
    assert gemm.source("float32", tile.host())


@every_kernel
def test_ragged_sizes(unit: str, dtype: str) -> None:
    form = tile.shape(unit, np.dtype(dtype).itemsize)
    rows = [0, 1, form.rows - 1, form.rows, form.rows + 1, 3 * form.rows - 1]
    columns = [0, 1, form.columns - 1, form.columns, form.columns + 1]
    for m in rows:
        for n in columns:
            for k in (0, 1, form.lanes - 1, form.lanes + 1, 513):
                a, b = random(m, k, dtype=dtype), random(k, n, dtype=dtype, seed=1)
                bias = random(n, dtype=dtype, seed=2) if (m + n + k) % 2 else None
                check(multiply(a, b, bias, unit=unit), a, b, bias)


@every_kernel
@pytest.mark.parametrize("size", [(513, 3, 5), (3, 513, 5), (13, 33, 1537), (129, 129, 513)])
def test_many_tiles_and_blocks(size: tuple[int, int, int], unit: str, dtype: str) -> None:
    m, n, k = size
    a, b, bias = random(m, k, dtype=dtype), random(k, n, dtype=dtype), random(n, dtype=dtype)
    check(multiply(a, b, bias, unit=unit), a, b, bias)
    check(multiply(a, b, unit=unit), a, b)


@every_kernel
@pytest.mark.parametrize("of_b", LAYOUTS)
@pytest.mark.parametrize("of_a", LAYOUTS)
def test_layouts(of_a: Callable, of_b: Callable, unit: str, dtype: str) -> None:
    """The same bits wherever the operands lie, and nothing read from between them."""
    for m, n, k in ((13, 71, 37), (5, 64, 530), (1, 1, 2)):
        a, b, bias = random(m, k, dtype=dtype), random(k, n, dtype=dtype), random(n, dtype=dtype)
        found = multiply(of_a(a), of_b(b), bias, unit=unit)
        check(found, a, b, bias)
        np.testing.assert_array_equal(found, multiply(a, b, bias, unit=unit))


@every_kernel
@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches(layout: Callable, unit: str, dtype: str) -> None:
    a, b, bias = (random(*s, dtype=dtype) for s in ((3, 14, 20), (3, 20, 67), (67,)))
    check(multiply(layout(a), layout(b), bias, unit=unit), a, b, bias)


@every_kernel
def test_a_batch_may_share_an_operand(unit: str, dtype: str) -> None:
    a, b = random(3, 14, 20, dtype=dtype), random(20, 35, dtype=dtype)
    check(multiply(a, np.broadcast_to(b, (3, 20, 35)), unit=unit), a, b)
    check(multiply(np.broadcast_to(a[0], (3, 14, 20)), a[0].T[None].repeat(3, 0), unit=unit),
          a[0], a[0].T[None].repeat(3, 0))  # fmt: skip


@every_kernel
def test_the_textbook(unit: str, dtype: str) -> None:
    """Whole numbers have no rounding, so that every order of summing gives the textbook's sum."""
    draw = np.random.default_rng(3)
    for m, n, k in ((1, 1, 1), (2, 3, 4), (7, 9, 5), (4, 2, 0)):
        a, b = (draw.integers(-9, 10, s).astype(dtype) for s in ((m, k), (k, n)))
        np.testing.assert_array_equal(multiply(a, b, unit=unit), gemm.textbook(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_is_the_textbook_to_the_bit(dtype: str) -> None:
    """Without fused multiply-adds the kernel rounds where the three loops do."""
    a, b = random(6, 40, dtype=dtype), random(40, 11, dtype=dtype)
    np.testing.assert_array_equal(multiply(a, b, unit="plain"), gemm.textbook(a, b))


@every_kernel
def test_same_bits_on_any_number_of_threads(
    unit: str, dtype: str, use_threads: Callable[[int], None]
) -> None:
    sizes = [(1, 130, 300), (130, 1, 300), (50, 70, 600), (3, 2, 1), (200, 40, 17)]
    products = [(random(m, k, dtype=dtype), random(k, n, dtype=dtype)) for m, n, k in sizes]
    products.append((random(5, 30, 40, dtype=dtype), random(5, 40, 10, dtype=dtype)))
    alone = [multiply(a, b, unit=unit) for a, b in products]
    for count in (1, 2, 3, 8):
        use_threads(count)
        for (a, b), wanted in zip(products, alone, strict=True):
            found = multiply(a, b, unit=unit)
            np.testing.assert_array_equal(found, wanted)


@every_kernel
def test_special_values_spread_as_ieee_says(unit: str, dtype: str) -> None:
    a, b = np.ones((13, 20), dtype), np.ones((20, 40), dtype)
    a[3, 7], a[5, 0], b[2, 11] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        wanted = gemm.textbook(a, b)
    np.testing.assert_array_equal(multiply(a, b, unit=unit), wanted)


def test_operands_at_the_edge_of_a_page() -> None:
    """The next page cannot be read: a kernel that reads one element too far ends the process."""
    assert "reached the end" in run(
        """
        import ctypes, mmap
        import numpy as np
        from tests.kernels.test_gemm import EVERY_KERNEL, check, multiply, random
        from tinygrad_mlp.kernels import tile

        kept, libc = [], ctypes.CDLL(None, use_errno=True)

        def at_the_edge(x):
            size = -(-max(x.nbytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
            pages = mmap.mmap(-1, size + mmap.PAGESIZE)
            start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
            kept.append(pages)
            address = ctypes.c_void_p(start + size)
            assert libc.mprotect(address, mmap.PAGESIZE, 0) == 0
            placed = np.frombuffer(pages, x.dtype, x.size, size - x.nbytes).reshape(x.shape)
            placed[...] = x
            return placed

        for unit, dtype in EVERY_KERNEL:
            form = tile.shape(unit, np.dtype(dtype).itemsize)
            for m in (1, form.rows + 1, 2 * form.rows):
                for n in (1, form.columns, 2 * form.columns - 1):
                    for k in (1, form.lanes + 1, 513):
                        a, b = random(m, k, dtype=dtype), random(k, n, dtype=dtype)
                        bias = at_the_edge(random(n, dtype=dtype))
                        check(multiply(at_the_edge(a), at_the_edge(b), bias, unit=unit), a, b, bias)
                        at, bt = (at_the_edge(x.T.copy()).T for x in (a, b))
                        check(multiply(at, bt, bias, unit=unit), a, b, bias)
        print("reached the end")
        """
    )
