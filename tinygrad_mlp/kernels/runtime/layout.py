"""Layouts: shape, strides and dtype of an array in memory. Equal layouts are one object."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from .storage import Ring, ring_of

Shape = tuple[int, ...]

# The dtypes of tensors, in PyTorch's order of promotion.
DTYPES = tuple(map(np.dtype, ("bool", "uint8", "int32", "int64", "float32", "float64")))
BOOL, UINT8, INT32, INT64, FLOAT32, FLOAT64 = DTYPES

_interned: dict[tuple[Shape, Shape, np.dtype], Layout] = {}


class Layout:
    """Shape, strides in bytes and dtype. Interned: compare with ``is``; hashing costs nothing.

    Plans (which kernel, which constants) are cached by layouts, so a known signature costs one
    dictionary look-up.
    """

    __slots__ = ("contiguous", "dtype", "nbytes", "ndim", "ring", "shape", "size", "strides")

    shape: Shape
    strides: Shape
    dtype: np.dtype
    size: int
    ndim: int
    contiguous: bool
    nbytes: int  # of the elements, without gaps
    ring: Ring  # free list that new tensors of this size are allocated from

    def __init__(self, shape: Shape, strides: Shape, dtype: np.dtype):
        self.shape, self.strides, self.dtype = shape, strides, dtype
        self.size, self.ndim = math.prod(shape), len(shape)
        self.nbytes = self.size * dtype.itemsize
        self.ring = ring_of(self.nbytes)
        self.contiguous = self.size == 0 or all(
            size == 1 or stride == dense
            for size, stride, dense in zip(shape, strides, dense_strides(shape, dtype), strict=True)
        )

    def __repr__(self) -> str:
        return f"Layout({self.shape}, strides={self.strides}, {self.dtype})"

    def __reduce__(self) -> tuple[object, ...]:
        return layout_of, (self.shape, self.strides, self.dtype)


def layout_of(shape: Shape, strides: Shape, dtype: np.dtype) -> Layout:
    """Return the interned layout with this shape, strides and dtype."""
    key = (shape, strides, dtype)
    found = _interned.get(key)
    return found if found is not None else _interned.setdefault(key, Layout(*key))


def dense(shape: Sequence[int], dtype: np.dtype) -> Layout:
    """Return the C-ordered layout of ``shape``."""
    return _dense(tuple(shape), dtype)


@functools.lru_cache(maxsize=4096)
def _dense(shape: Shape, dtype: np.dtype) -> Layout:
    return layout_of(shape, dense_strides(shape, dtype), dtype)


def dense_strides(shape: Shape, dtype: np.dtype) -> Shape:
    """Return the byte strides of a C-ordered array."""
    strides, step = [], dtype.itemsize
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def broadcast_strides(layout: Layout, shape: Shape) -> Shape:
    """Return strides that read ``layout`` with ``shape``: a broadcast axis has stride 0."""
    missing = len(shape) - layout.ndim
    kept = tuple(
        0 if size == 1 else stride
        for size, stride in zip(layout.shape, layout.strides, strict=True)
    )
    return (0,) * missing + kept


def coalesce(shape: Shape, strides: Sequence[Shape]) -> tuple[list[int], list[list[int]]]:
    """Drop axes of size 1 and merge neighbours that every operand steps through as one axis.

    >>> coalesce((4, 3), [(12, 4), (12, 4)])
    ([12], [[4], [4]])
    """
    sizes: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        steps = [operand[axis] for operand in strides]
        if sizes and all(m[-1] == step * size for m, step in zip(merged, steps, strict=True)):
            sizes[-1] *= size
            for operand, step in zip(merged, steps, strict=True):
                operand[-1] = step
        else:
            sizes.append(size)
            for operand, step in zip(merged, steps, strict=True):
                operand.append(step)
    return sizes, merged
