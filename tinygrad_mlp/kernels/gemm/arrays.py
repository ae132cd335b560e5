"""The matrix product on NumPy arrays: what the kernels do, without tensors around them."""

from __future__ import annotations

import functools

import numpy as np
from numba import int64, njit, types

from .. import threads
from ..cache import kept
from ..layout import dense, layout_of
from ..memory import address_of, call_address, pointer, room_on_stack, words_on_stack
from ..threads import SMALL
from . import words as at
from .choose import FORMS, ROW, choose
from .planning import NS, STACK, plan, tile_of
from .source import address


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """``a @ b`` of two matrices, or two batches of them, of one dtype, float32 or float64.

        C[..., i, j] = sum over k of A[..., i, k] B[..., k, j]

    Shapes (..., M, K) and (..., K, N), the leading axes broadcast; any strides. ``out``: a
    C-ordered array for the result, which is returned; it shares no memory with ``a`` or ``b``.

    Raises TypeError for other dtypes, ValueError for shapes that do not fit.

    >>> product(np.eye(2, 3), np.ones((3, 1)))
    array([[1.],
           [0.],
           [1.]])
    """
    dtype = a.dtype
    if a.ndim == 2 == b.ndim and dtype.kind == "f":
        c = np.empty((len(a), b.shape[1]), dtype) if out is None else out
        try:
            if _alone()(a, b, c, _kernels[dtype], threads.get_num_threads()):
                return c
        except (KeyError, TypeError):  # the first call, or one that it is not for
            pass
    return _general(a, b, out)


def _general(a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """The product of any two arrays, on one thread or all."""
    if a.dtype != b.dtype or a.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"product takes two float32 or two float64 arrays, not {a.dtype} and {b.dtype}: "
            "convert with .astype"
        )
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"product: {a.shape} @ {b.shape}: wanted (..., M, K) and (..., K, N), with one K"
        )
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if out is None:
        out = np.empty(shape, a.dtype)
    elif out.shape != shape or out.dtype != a.dtype or not out.flags.carray:
        raise ValueError(
            f"product: out must be a writable C-ordered {a.dtype} array of shape {shape}, not "
            f"{out.dtype} of shape {out.shape}"
        )
    if not out.size:
        return out
    _kernels.setdefault(a.dtype, _table(a.dtype))
    how = _planned(*(layout_of(x.shape, x.strides, x.dtype) for x in (a, b)), dense(shape, a.dtype))
    if how is None:  # no one stride leads through the batch
        a, b = (np.broadcast_to(x, (*shape[:-2], *x.shape[-2:])).copy() for x in (a, b))
        return _general(a, b, out)
    how(address_of(a), address_of(b), 0, address_of(out))
    return out


_planned = functools.lru_cache(maxsize=4096)(plan)


_kernels: dict[np.dtype, int] = {}  # the addresses of `_table`s


@functools.cache
def _table(dtype: np.dtype) -> int:
    """The address of what `_alone` needs to know: the kernels' addresses, and the tile."""
    names = (*FORMS, "tiles")
    table = np.array([*(address(name, str(dtype)) for name in names), *tile_of(dtype.itemsize)])
    _kept.append(table)
    return address_of(table)


_kept: list[np.ndarray] = []


@functools.cache
def _alone():
    """Multiply two matrices on this thread, planned anew: Python would take longer to look it up.

    False, and nothing done, if ``count`` threads would be faster, or the stack has no room.
    """

    def signature(real):
        operand = types.Array(real, 2, "A", readonly=True)
        return types.boolean(operand, operand, types.Array(real, 2, "C"), int64, int64)

    signatures = [signature(types.float32), signature(types.float64)]

    @kept(njit(signatures, cache=True, nogil=True))
    def alone(a, b, c, table, count):
        (M, K), N = a.shape, b.shape[1]
        if b.shape[0] != K or c.shape != (M, N) or M * N == 0:
            return False
        known, constants = pointer(table, int64), room_on_stack(256)
        sizes = pointer(constants, int64)
        for place in range(at.STRIDES):
            sizes[place] = 0
        sizes[at.BATCH], sizes[at.M], sizes[at.N], sizes[at.K] = 1, M, N, K
        sizes[at.A_ROW], sizes[at.A_COL] = a.strides
        sizes[at.B_ROW], sizes[at.B_COL] = b.strides
        sizes[at.C_ROW], sizes[at.C_COL] = c.strides
        form, cost = choose(constants, -1, True, known[4], known[5], known[6], known[7],
                            M, N, K)  # fmt: skip
        turned = sizes[at.TURNED] * M * N * 8
        large = count > 1 and cost * NS >= SMALL
        if large or sizes[at.PER_THREAD] + turned > STACK:
            return False
        sizes[at.TILES] = known[ROW + 1]
        words = (constants, a.ctypes.data, b.ctypes.data, 0, c.ctypes.data, room_on_stack(STACK), 1)
        call_address(known[form], words_on_stack(words), 0, 1)
        return True

    return alone
