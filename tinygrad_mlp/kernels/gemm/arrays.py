"""The matrix product on NumPy arrays: what the kernels do, without tensors around them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numba import int64, njit, types

from ..runtime.cache import cached, entry_point
from ..runtime.layout import Shape, dense, layout_of
from ..runtime.memory import address_of, call_address, pointer, room_on_stack, words_on_stack
from ..runtime.threads import SMALL, get_num_threads
from . import words as at
from .choose import FORMS, ROW, choose
from .planning import NS, STACK, Plan, plan, tile_of
from .source import address


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """``a @ b`` of two matrices, or two batches of them, of one dtype, float32 or float64.

        C[..., i, j] = sum over k of A[..., i, k] B[..., k, j]

    Shapes (..., M, K) and (..., K, N), the leading axes broadcast; any strides. ``out``: a
    C-ordered array for the result, which is returned; it shares no memory with ``a`` or ``b``.

    Raises TypeError for other dtypes, ValueError for shapes that do not fit.

    >>> product(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2))
    array([[1., 2.],
           [3., 4.]])
    """
    dtype = a.dtype
    try:
        (M, _), (_, N) = a.shape, b.shape
        multiply, table = _alone[dtype]
    except (KeyError, ValueError):  # the first of a dtype, or a batch
        return _general(a, b, out)
    as_made = out is None or (out.shape == (M, N) and out.dtype is dtype and out.flags.carray)
    if b.dtype is not dtype or not as_made:
        return _general(a, b, out)
    c = np.empty((M, N), dtype) if out is None else out
    places = multiply(a, b, c, table, get_num_threads())
    return c if places is None else _general(a, b, c, places)


def _general(
    a: np.ndarray, b: np.ndarray, out: np.ndarray | None, places: Sequence[int] = ()
) -> np.ndarray:
    """The product of any two arrays, on one thread or all; ``places``: of A, B and C, if known."""
    shape, how = _planned(a.shape, a.strides, a.dtype, b.shape, b.strides, b.dtype)
    if out is None:
        out = np.empty(shape, a.dtype)
    elif out.shape != shape or out.dtype != a.dtype or not out.flags.carray:
        raise ValueError(
            f"product: out must be a writable C-ordered {a.dtype} array of shape {shape}, not "
            f"{out.dtype} of shape {out.shape}"
        )
    if not out.size:
        return out
    if a.dtype not in _alone:
        _alone[a.dtype] = _multiply(str(a.dtype)), _table(a.dtype)
    if how is None:  # no one stride leads through the batch
        a, b = (np.broadcast_to(x, (*shape[:-2], *x.shape[-2:])).copy() for x in (a, b))
        return _general(a, b, out)
    at_a, at_b, at_c = places or map(address_of, (a, b, out))
    how(at_a, at_b, 0, at_c)
    return out


@functools.lru_cache(maxsize=4096)
def _planned(
    a: Shape, a_strides: Shape, a_dtype: np.dtype, b: Shape, b_strides: Shape, b_dtype: np.dtype
) -> tuple[Shape, Plan | None]:
    """The shape of the product, and its plan; or what is wrong."""
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
    """The address of what `_multiply` needs to know: the kernels' addresses, and the tile."""
    names = (*FORMS, "tiles")
    table = np.array([*(address(name, str(dtype)) for name in names), *tile_of(dtype.itemsize)])
    _kept.append(table)
    return address_of(table)


_kept: list[np.ndarray] = []

ROOM = 256  # bytes on the stack for the constants of a product that nothing finishes
assert 8 * at.STRIDES <= ROOM


@functools.cache
def _multiply(dtype: str) -> Callable[..., tuple[int, int, int] | None]:
    """Multiply two matrices on this thread, planned anew: Python would take longer to look it up.

    Nothing is done, and the addresses of A, B and C come back, if the shapes do not fit, ``count``
    threads would be faster, or the stack has no room. Nobody looks at dtypes and dimensions.
    """
    real = getattr(types, dtype)
    operand, places = types.Array(real, 2, "A", readonly=True), types.UniTuple(int64, 3)
    signature = types.Optional(places)(operand, operand, types.Array(real, 2, "C"), int64, int64)

    @cached(njit(signature, cache=True, nogil=True), dtype)
    def multiply(a, b, c, table, count):
        places = a.ctypes.data, b.ctypes.data, c.ctypes.data
        (M, K), N = a.shape, b.shape[1]
        if b.shape[0] != K or M * N == 0:
            return places
        known, constants = pointer(table, int64), room_on_stack(ROOM)
        sizes = pointer(constants, int64)
        for place in range(at.STRIDES):
            sizes[place] = 0
        sizes[at.BATCH], sizes[at.M], sizes[at.N], sizes[at.K] = 1, M, N, K
        sizes[at.A_ROW], sizes[at.A_COL] = a.strides
        sizes[at.B_ROW], sizes[at.B_COL] = b.strides
        sizes[at.C_ROW], sizes[at.C_COL] = c.strides
        form, cost = choose(sizes, -1, True, known[4], known[5], known[6], known[7], M, N, K)
        turned = sizes[at.TURNED] * M * N * 8
        large = count > 1 and cost * NS >= SMALL
        if large or sizes[at.PER_THREAD] + turned > STACK:
            return places
        sizes[at.TILES] = known[ROW + 1]
        words = constants, places[0], places[1], 0, places[2], room_on_stack(STACK), 1
        call_address(known[form], words_on_stack(words), 0, 1)
        return None

    return entry_point(multiply)


# By dtype: `_multiply`, past Numba's look at the types, and its table. Filled by the first call.
_alone: dict[np.dtype, tuple[Callable[..., tuple[int, int, int] | None], int]] = {}
