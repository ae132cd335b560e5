"""The matrix product, kernel by kernel: each vector unit that this machine has, both dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.kernels.scripts import run
from tinygrad_mlp.kernels import gemm
from tinygrad_mlp.kernels.codegen import elementwise, target
from tinygrad_mlp.kernels.codegen import expression as scalar
from tinygrad_mlp.kernels.gemm import UNITS as REGISTERS
from tinygrad_mlp.kernels.gemm import planning as plans
from tinygrad_mlp.kernels.gemm import source
from tinygrad_mlp.kernels.runtime.layout import layout_of
from tinygrad_mlp.kernels.runtime.memory import address_of
from tinygrad_mlp.kernels.runtime.threads import get_num_threads

FEATURES = target.features()
NEEDED = {"avx512": {"avx512f"}, "avx2": {"avx2", "fma"}, "plain": set()}
UNITS = [unit for unit, features in NEEDED.items() if features <= FEATURES]
if FEATURES & {"fma", "neon"}:  # vectors of 16 bytes, fused: no more than what x86 does with FMA
    UNITS.insert(-1, "neon")
DTYPES = ["float32", "float64"]
EVERY_KERNEL = [(unit, dtype) for unit in UNITS for dtype in DTYPES]
GUARD, LINE = 64, 64  # elements; bytes

every_kernel = pytest.mark.parametrize(("unit", "dtype"), EVERY_KERNEL)


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    unit: str,
    form: str | None = "outer",
    onto: np.ndarray | None = None,
    finish: gemm.Finish | None = None,
    operands: tuple[np.ndarray, ...] = (),
) -> np.ndarray:
    """Return ``a @ b + bias`` of one product or a batch; memory around the result is unchanged.

    ``onto``: the values of C to which the product is added.
    """
    dtype = a.dtype
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    size = math.prod(shape)
    memory = np.full(size + 2 * GUARD, -7.25, dtype)
    c = memory[GUARD : GUARD + size].reshape(shape)
    start = gemm.ZEROS if bias is None else gemm.BIASED
    if onto is not None:
        c[...], start = onto, gemm.ACCUMULATED
    layouts = [layout_of(x.shape, x.strides, x.dtype) for x in (a, b, c)]
    plan = gemm.plan(*layouts, start, finish, unit, form)
    assert plan is not None
    plan.launch.work = 1e9  # use all threads, however small it is
    row = 0 if bias is None else address_of(bias)
    count = get_num_threads()
    needed = plan.scratch(count)
    around = np.full(needed + 2 * LINE, 0xA5, np.uint8)
    room = -(-address_of(around) // LINE) * LINE
    plan.launch(
        *map(address_of, (a, b)), row, address_of(c), room, count, *map(address_of, operands)
    )
    assert (around[room - address_of(around) + needed :] == 0xA5).all(), "wrote behind scratch"
    assert (memory[:GUARD] == -7.25).all(), "wrote before C"
    assert (memory[GUARD + size :] == -7.25).all(), "wrote behind C"
    return c


def tile_of(unit: str, dtype: str) -> tuple[int, int, int]:
    """Return rows and columns of the tile of a vector unit, and elements of a vector."""
    registers, item = REGISTERS[unit], np.dtype(dtype).itemsize
    return registers.rows[0], registers.columns(item), registers.lanes(item)


def random(*shape: int, dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def check(found: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Assert equality within the rounding error of K products and K sums (Higham, section 3.5)."""
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
    """Put NaN between and around the rows: reading too far gives NaN."""
    room = np.full((*x.shape[:-2], x.shape[-2] + 2, x.shape[-1] + 37), np.nan, x.dtype)
    room[..., 1:-1, 5 : 5 + x.shape[-1]] = x
    return room[..., 1:-1, 5 : 5 + x.shape[-1]]


def strided(x: np.ndarray) -> np.ndarray:
    """Use every second row backwards and every third column; NaN in all the others."""
    room = np.full((*x.shape[:-2], 2 * x.shape[-2] + 1, 3 * x.shape[-1] + 2), np.nan, x.dtype)
    view = room[..., 1::2, 1::3][..., ::-1, : x.shape[-1]]
    view[...] = x
    return view


LAYOUTS = [row_major, column_major, padded, strided]


def test_every_machine_has_the_plain_kernel_and_its_own() -> None:
    assert "plain" in UNITS
    assert gemm.host() in UNITS
    assert gemm.host() == UNITS[0], "a wider unit than the one in use"
    assert source.source("outer", "float32", gemm.host())


@every_kernel
def test_ragged_sizes(unit: str, dtype: str) -> None:
    height, width, lanes = tile_of(unit, dtype)
    rows = [0, 1, height - 1, height, height + 1, 3 * height - 1]
    columns = [0, 1, width - 1, width, width + 1]
    for m in rows:
        for n in columns:
            for k in (0, 1, lanes - 1, lanes + 1, 513):
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
    """The same bits for any layout of the operands; nothing between their elements is read."""
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
    check(
        multiply(np.broadcast_to(a[0], (3, 14, 20)), a[0].T[None].repeat(3, 0), unit=unit),
        a[0],
        a[0].T[None].repeat(3, 0),
    )


@every_kernel
def test_the_textbook(unit: str, dtype: str) -> None:
    """Sums of integers are exact, so every order of summation equals the textbook's."""
    draw = np.random.default_rng(3)
    for m, n, k in ((1, 1, 1), (2, 3, 4), (7, 9, 5), (4, 2, 0)):
        a, b = (draw.integers(-9, 10, s).astype(dtype) for s in ((m, k), (k, n)))
        np.testing.assert_array_equal(multiply(a, b, unit=unit), gemm.textbook(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["outer", "inner", "row", None])
def test_every_vector_unit_gives_the_same_bits(form: str | None, dtype: str) -> None:
    for m, n, k in ((1, 1, 5), (1, 70, 37), (6, 11, 40), (13, 33, 1100), (1, 8, 784)):
        if form == "row" and m > 1:
            continue
        a, b = random(m, k, dtype=dtype), random(k, n, dtype=dtype, seed=1)
        for lay in (column_major, row_major):
            if form == "row" and lay is column_major:
                continue
            found = [multiply(a, lay(b), unit=unit, form=form) for unit in REGISTERS]
            assert all(np.array_equal(found[0], each) for each in found), (m, n, k)


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
        from tests.kernels.gemm.test_gemm import EVERY_KERNEL, check, multiply, random, tile_of

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
            height, width, lanes = tile_of(unit, dtype)
            for m in (1, height + 1, 2 * height):
                for n in (1, width, 2 * width - 1):
                    for k in (1, lanes + 1, 513):
                        a, b = random(m, k, dtype=dtype), random(k, n, dtype=dtype)
                        bias = at_the_edge(random(n, dtype=dtype))
                        check(multiply(at_the_edge(a), at_the_edge(b), bias, unit=unit), a, b, bias)
                        at, bt = (at_the_edge(x.T.copy()).T for x in (a, b))
                        check(multiply(at, bt, bias, unit=unit), a, b, bias)
                        ae, be = at_the_edge(a), at_the_edge(b)
                        check(multiply(ae, bt, bias, unit=unit, form="inner"), a, b, bias)
                        if n <= 8:
                            check(multiply(ae, be, bias, unit=unit, form="inner"), a, b, bias)
                        if m == 1:
                            check(multiply(ae, be, bias, unit=unit, form="row"), a, b, bias)
        print("reached the end")
        """
    )


# --- the other forms, and the options of all ---


@every_kernel
def test_inner_products(unit: str, dtype: str) -> None:
    lanes = tile_of(unit, dtype)[2]
    for m, n in ((1, 1), (1, 9), (9, 1), (4, 4), (3, 2), (13, 7), (0, 3), (2, 0)):
        for k in (0, 1, lanes - 1, lanes, 3 * lanes + 1, 200):
            a, b = random(m, k, dtype=dtype), random(k, n, dtype=dtype, seed=1)
            bias = random(n, dtype=dtype, seed=2) if (m + n + k) % 2 else None
            for lay_a in (row_major, padded):
                found = [
                    multiply(lay_a(a), lay_b(b), bias, unit=unit, form="inner")
                    for lay_b in (row_major, column_major, padded, strided)
                ]
                check(found[0], a, b, bias)
                assert all(np.array_equal(found[0], each) for each in found)


@every_kernel
def test_a_row_adds_up_to_the_bits_of_tiles(unit: str, dtype: str) -> None:
    for n in (0, 1, 7, 33, 5000):
        for k in (0, 1, 7, 8, 9, 530):
            a, b = random(1, k, dtype=dtype), random(k, n, dtype=dtype, seed=1)
            bias = random(n, dtype=dtype, seed=2) if (n + k) % 2 else None
            for lay_a in (row_major, strided):
                found = multiply(lay_a(a), padded(b), bias, unit=unit, form="row")
                np.testing.assert_array_equal(found, multiply(a, b, bias, unit=unit))


@every_kernel
def test_small_blocks_give_the_same_bits(unit: str, dtype: str, monkeypatch) -> None:
    """Partial sums stored in C between blocks, and copies, are not rounded again."""
    products = [
        (random(m, k, dtype=dtype), random(k, n, dtype=dtype), random(n, dtype=dtype))
        for m, n, k in ((61, 300, 43), (100, 40, 70), (30, 300, 8))
    ]
    alone = [multiply(*each, unit=unit) for each in products]
    monkeypatch.setattr(plans, "_BLOCKS", (24, 2 * tile_of(unit, dtype)[1], 16))
    for (a, b, bias), wanted in zip(products, alone, strict=True):
        for layout in LAYOUTS:
            found = multiply(layout(a), layout(b), bias, unit=unit)
            np.testing.assert_array_equal(found, wanted)


FORMS = [("outer", (13, 70, 37)), ("inner", (6, 11, 37)), ("row", (1, 70, 37))]


@every_kernel
@pytest.mark.parametrize(("form", "size"), FORMS)
def test_added_to_what_is_there(
    form: str, size: tuple[int, int, int], unit: str, dtype: str, monkeypatch
) -> None:
    m, n, k = size
    a, b, onto = (random(*s, dtype=dtype) for s in ((2, m, k), (2, k, n), (2, m, n)))
    b = column_major(b) if form == "inner" else b
    for block in (512, 16):
        monkeypatch.setattr(plans, "_BLOCKS", (*plans._BLOCKS[:2], block))
        found = multiply(a, b, unit=unit, form=form, onto=onto)
        wide = [np.asarray(x, np.longdouble) for x in (a, b, onto)]
        size_of = np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(wide[2])
        off = np.abs(found - (wide[0] @ wide[1] + wide[2]))
        assert (off <= (k + 2) * np.finfo(dtype).eps / 2 * size_of).all()


@every_kernel
@pytest.mark.parametrize(("form", "size"), FORMS)
def test_an_elementwise_kernel_finishes_the_product(
    form: str, size: tuple[int, int, int], unit: str, dtype: str, use_threads, monkeypatch
) -> None:
    """The mask of a ReLU's backward pass, and a column added: to the bits of two passes."""
    m, n, k = size
    a, b = random(2, m, k, dtype=dtype), random(2, k, n, dtype=dtype)
    b = column_major(b) if form == "inner" else b
    mask, column = random(2, m, n, dtype=dtype, seed=3), random(m, dtype=dtype, seed=4)
    expression = scalar.trace(lambda c, mask, column: scalar.where(mask > 0, c + column, c * 0))
    formula = elementwise.Formula("relu_mask", ("c", "mask", "column"), (("c", expression),))
    operands = [
        elementwise.Operand(name, dtype, access)
        for name, access in (("c", "c"), ("mask", "c"), ("column", "s"))
    ]
    kernel = elementwise.address(formula, tuple(operands), dtype)
    item = np.dtype(dtype).itemsize
    finish = gemm.Finish(kernel, (mask.strides, mask.strides, (0, item, 0)))
    product = multiply(a, b, unit=unit, form=form)
    wanted = np.where(mask > 0, product + column[:, None], product * 0)
    for count in (1, 2, 3):
        use_threads(count)
        for block in (512, 16):
            monkeypatch.setattr(plans, "_BLOCKS", (*plans._BLOCKS[:2], block))
            found = multiply(a, b, unit=unit, form=form, finish=finish, operands=(mask, column))
            np.testing.assert_array_equal(found, wanted)


def test_a_finish_with_more_operands_than_there_is_room_for() -> None:
    a = layout_of((4, 4), (16, 4), np.dtype("float32"))
    finish = gemm.Finish(0, ((64, 16, 4),) * 13)
    with pytest.raises(ValueError, match="at most 12 operands, not 13"):
        gemm.plan(a, a, a, gemm.ZEROS, finish)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_plan_takes_every_form(dtype: str, use_threads, monkeypatch) -> None:
    """Also C' in place of C, where A's columns are contiguous and B is narrow; all are correct."""
    chosen = []
    address = plans.address
    monkeypatch.setattr(
        plans, "address", lambda form, *rest: (chosen.append(form), address(form, *rest))[1]
    )
    cases = {
        "inner": (random(2, 300, dtype=dtype), random(300, 9, dtype=dtype).T.copy().T),
        "outer": (random(50, 30, dtype=dtype), random(30, 40, dtype=dtype)),
        "row": (random(1, 90, dtype=dtype), random(90, 70, dtype=dtype)),
    }
    for form, (a, b) in cases.items():
        chosen.clear()
        check(multiply(a, b, unit=gemm.host(), form=None), a, b)
        assert form in chosen
    for m, n in ((150, 3), (20, 1), (9, 8)):
        a, b = column_major(random(m, 70, dtype=dtype)), random(70, n, dtype=dtype)
        alone = multiply(a, b, unit=gemm.host())
        for count in (1, 2, 3):
            use_threads(count)
            np.testing.assert_array_equal(multiply(a, b, unit=gemm.host(), form=None), alone)


@pytest.mark.parametrize(("form", "size"), FORMS)
def test_each_form_gives_the_same_bits_on_any_number_of_threads(
    form: str, size: tuple[int, int, int], use_threads
) -> None:
    m, n, k = size
    for shape in ((m, k), (3, m, k)):
        a, b = random(*shape, dtype="float32"), random(k, n, dtype="float32")
        b = column_major(b) if form == "inner" else b
        alone = multiply(a, b, unit=gemm.host(), form=form)
        for count in (1, 2, 3, 8):
            use_threads(count)
            np.testing.assert_array_equal(multiply(a, b, unit=gemm.host(), form=form), alone)


# --- on NumPy arrays ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_a", LAYOUTS)
@pytest.mark.parametrize("of_b", LAYOUTS)
def test_arrays(of_a: Callable, of_b: Callable, dtype: str, use_threads) -> None:
    sizes = [(8, 16, 16), (1, 64, 30), (30, 3, 50), (3, 40, 60), (200, 150, 100), (0, 2, 3)]
    for m, n, k in [*sizes, (2, 3, 0)]:
        a, b = of_a(random(m, k, dtype=dtype)), of_b(random(k, n, dtype=dtype, seed=1))
        a.flags.writeable = False
        found = gemm.product(a, b)
        check(found, a, b)
        for count in (1, 2, 3):
            use_threads(count)
            out = np.full((m, n), np.nan, dtype)
            assert gemm.product(a, b, out) is out
            np.testing.assert_array_equal(out, found)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batches_of_arrays(dtype: str) -> None:
    a, b = random(2, 1, 14, 20, dtype=dtype), random(3, 20, 35, dtype=dtype)
    check(gemm.product(a, b), a, b)
    check(gemm.product(a[0, 0], b), a[0, 0], b)


def test_arrays_that_do_not_fit() -> None:
    a, b = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(TypeError, match=r"float64 and float32: convert with .astype"):
        gemm.product(a, b.astype(np.float32))
    with pytest.raises(TypeError, match="not int64 and int64"):
        gemm.product(a.astype(int), b.astype(int))
    with pytest.raises(ValueError, match=r"\(2, 3\) @ \(4, 3\): wanted"):
        gemm.product(a, b.T)
    with pytest.raises(ValueError, match=r"\(3,\) @ \(3, 4\): wanted"):
        gemm.product(a[0], b)
    for out in (np.empty((2, 3)), np.empty((2, 4), np.float32), np.empty((4, 2)).T):
        with pytest.raises(ValueError, match="out must be a writable C-ordered float64"):
            gemm.product(a, b, out)
    locked = np.empty((2, 4))
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        gemm.product(a, b, locked)
