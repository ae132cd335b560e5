"""Axes and sizes as users give them: checked, and counted from the front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...kernels.runtime.layout import Shape

Dims = int | Sequence[int] | None


def dim_of(dim: int, ndim: int) -> int:
    """Return ``dim`` counted from the front; a 0-d tensor counts as one axis.

    Raises:
        TypeError: ``dim`` is not an integer.
        IndexError: ``dim`` is out of range.
    """
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"dim must be an integer, not {dim!r}")
    count = max(ndim, 1)
    if not -count <= dim < count:
        raise IndexError(
            f"dim {dim} is out of range: a tensor of {ndim} dimensions has {-count} to {count - 1}"
        )
    return int(dim) % count


def dims_of(dim: Dims, ndim: int) -> Shape:
    """Return the axes ``dim``, counted from the front and sorted; None means all.

    Raises:
        ValueError: an axis is named twice.
        TypeError, IndexError: as `dim_of`.
    """
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, (int, np.integer)) else tuple(dim)
    found = tuple(dim_of(d, ndim) for d in dims)
    if len(set(found)) != len(found):
        raise ValueError(f"dim {dim} names an axis twice")
    return tuple(sorted(found)) if ndim else ()


def sizes_of(shape: tuple[Any, ...]) -> Shape:
    """Return a shape given as ``(2, 3)`` or as ``((2, 3),)``; TypeError for anything else."""
    if len(shape) == 1 and isinstance(shape[0], Iterable):
        shape = tuple(shape[0])
    if not all(isinstance(s, (int, np.integer)) and s >= -1 for s in shape):
        raise TypeError(f"a shape is made of non-negative integers (or -1), not {shape}")
    return tuple(int(s) for s in shape)


def axis_last(axis: int, ndim: int) -> Shape:
    """Return the order of axes that moves ``axis`` behind all others."""
    return (*(k for k in range(ndim) if k != axis), axis)


def folded(shape: Shape, dims: Iterable[int], keepdim: bool) -> Shape:
    """Return ``shape`` without the axes ``dims``; with ``keepdim`` they have size 1."""
    dims = set(dims)
    return tuple(1 if k in dims else n for k, n in enumerate(shape) if keepdim or k not in dims)


def along(axis: int, key: Any) -> tuple[Any, ...]:
    """Return the index that applies ``key`` to ``axis`` and takes all of the axes before it."""
    return (slice(None),) * axis + (key,)
