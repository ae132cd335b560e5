"""The matrix product on NumPy arrays, without tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numba import int64, types

from ..runtime.cache import cached_njit, entry_point
from ..runtime.layout import Shape, dense, layout_of
from ..runtime.memory import address_of, call_address, pointer, room_on_stack, words_on_stack
from ..runtime.threads import SMALL, get_num_threads
from . import words as at
from .choose import FORMS, choose
from .planning import NS, STACK, Plan, plan, tile_of
from .source import address


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``a @ b`` of two matrices or batches of matrices, both float32 or both float64.

        C[..., i, j] = sum over k of A[..., i, k] B[..., k, j]

    Shapes (..., M, K) and (..., K, N), the leading axes broadcast; any strides. ``out``: a
    C-ordered array for the result, which is returned. It must not overlap with ``a`` or ``b``.

    Raises:
        TypeError: other dtypes.
        ValueError: shapes that do not fit.

    >>> product(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2))
    array([[1., 2.],
           [3., 4.]])
    """
    dtype = a.dtype
    try:
        (M, _), (_, N) = a.shape, b.shape
        multiply, table = _single_thread[dtype]
    except (KeyError, ValueError):  # the first product of this dtype, or a batch
        return _general(a, b, out)
    fits = out is None or (out.shape == (M, N) and out.dtype is dtype and out.flags.carray)
    if b.dtype is not dtype or not fits:
        return _general(a, b, out)
    c = np.empty((M, N), dtype) if out is None else out
    addresses = multiply(a, b, c, table, get_num_threads())
    return c if addresses is None else _general(a, b, c, addresses)


def _general(
    a: np.ndarray, b: np.ndarray, out: np.ndarray | None, addresses: Sequence[int] = ()
) -> np.ndarray:
    """Return the product of any two arrays; ``addresses``: of A, B and C, if known."""
    shape, planned = _planned(a.shape, a.strides, a.dtype, b.shape, b.strides, b.dtype)
    if out is None:
        out = np.empty(shape, a.dtype)
    elif out.shape != shape or out.dtype != a.dtype or not out.flags.carray:
        raise ValueError(
            f"product: out must be a writable C-ordered {a.dtype} array of shape {shape}, not "
            f"{out.dtype} of shape {out.shape}"
        )
    if not out.size:
        return out
    if a.dtype not in _single_thread:
        _single_thread[a.dtype] = _multiply(str(a.dtype)), _table(a.dtype)
    if planned is None:  # the batch has more than one stride
        a, b = (np.broadcast_to(x, (*shape[:-2], *x.shape[-2:])).copy() for x in (a, b))
        return _general(a, b, out)
    a_at, b_at, c_at = addresses or map(address_of, (a, b, out))
    planned(a_at, b_at, 0, c_at)
    return out


@functools.lru_cache(maxsize=4096)
def _planned(
    a: Shape, a_strides: Shape, a_dtype: np.dtype, b: Shape, b_strides: Shape, b_dtype: np.dtype
) -> tuple[Shape, Plan | None]:
    """Return the shape of the product and its plan, or raise an error."""
    if a_dtype != b_dtype or a_dtype not in (np.float32, np.float64):
        raise TypeError(
            f"product takes two float32 or two float64 arrays, not {a_dtype} and {b_dtype}: "
            "convert with .astype"
        )
    if min(len(a), len(b)) < 2 or a[-1] != b[-2]:
        raise ValueError(f"product: {a} @ {b}: wanted (..., M, K) and (..., K, N), with one K")
    shape = (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
    layouts = layout_of(a, a_strides, a_dtype), layout_of(b, b_strides, b_dtype)
    return shape, plan(*layouts, dense(shape, a_dtype)) if math.prod(shape) else None


@functools.cache
def _table(dtype: np.dtype) -> int:
    """Return the address of `_multiply`'s table: the addresses of kernels, and the tile's sizes."""
    names = (*FORMS, "tiles")
    table = np.array([*(address(name, str(dtype)) for name in names), *tile_of(dtype.itemsize)])
    _tables.append(table)
    return address_of(table)


_tables: list[np.ndarray] = []

ROOM = 256  # bytes on the stack for the constants of a product without a finishing kernel
assert 8 * at.STRIDES <= ROOM

TILES, TILE = len(FORMS), len(FORMS) + 1  # in the table, after the forms: a kernel, four sizes


@functools.cache
def _multiply(dtype: str) -> Callable[..., tuple[int, int, int] | None]:
    """Return a function that plans and multiplies two matrices on the calling thread.

    Planning takes less time than a look-up in Python. The function does nothing, and returns the
    addresses of A, B and C, if the shapes do not fit, ``count`` threads would be faster, or the
    stack has no room. It does not check dtypes and dimensions.
    """
    real = getattr(types, dtype)
    operand, three = types.Array(real, 2, "A", readonly=True), types.UniTuple(int64, 3)
    signature = types.Optional(three)(operand, operand, types.Array(real, 2, "C"), int64, int64)

    @cached_njit(signature, nogil=True)
    def multiply(a, b, c, table, count):
        addresses = a.ctypes.data, b.ctypes.data, c.ctypes.data
        (M, K), N = a.shape, b.shape[1]
        if b.shape[0] != K or M * N == 0:
            return addresses
        entries, constants = pointer(table, int64), room_on_stack(ROOM)
        sizes = pointer(constants, int64)
        for k in range(at.STRIDES):
            sizes[k] = 0
        sizes[at.BATCH], sizes[at.M], sizes[at.N], sizes[at.K] = 1, M, N, K
        sizes[at.A_ROW], sizes[at.A_COL] = a.strides
        sizes[at.B_ROW], sizes[at.B_COL] = b.strides
        sizes[at.C_ROW], sizes[at.C_COL] = c.strides
        tile = (entries[TILE], entries[TILE + 1], entries[TILE + 2], entries[TILE + 3])
        form, cost = choose(sizes, -1, True, tile, (M, N, K))
        c_transposed = sizes[at.TRANSPOSED] * M * N * 8
        large = count > 1 and cost * NS >= SMALL
        if large or sizes[at.PER_THREAD] + c_transposed > STACK:
            return addresses
        sizes[at.TILES] = entries[TILES]
        words = constants, addresses[0], addresses[1], 0, addresses[2], room_on_stack(STACK), 1
        call_address(entries[form], words_on_stack(words), 0, 1)
        return None

    return entry_point(multiply)


# By dtype: the entry point of `_multiply`'s function, and its table. Filled by the first call.
_single_thread: dict[np.dtype, tuple[Callable[..., tuple[int, int, int] | None], int]] = {}
