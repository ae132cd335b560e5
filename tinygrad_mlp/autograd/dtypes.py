"""The dtypes of results: PyTorch's type promotion, and the default dtype.

Tensors with dimensions, 0-d tensors and Python numbers are three levels of priority. The result
has the widest dtype of the highest level present, unless a lower level is of a higher category
(bool < integer < float):

    float32 (3,) + float64 ()  -> float32        int64 (3,) + 0.5 -> float32, the default dtype
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kernels.runtime.layout import BOOL, DTYPES, FLOAT32, INT64, Layout

_width = DTYPES.index  # narrowest first
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}
_default: np.dtype = FLOAT32
plans_of_ops: list[Callable[[], None]] = []  # called when the default dtype changes


def get_default_dtype() -> np.dtype:
    """Return the dtype of tensors made from Python floats: float32, unless it was set.

    >>> get_default_dtype()
    dtype('float32')
    """
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of tensors made from Python floats from now on: float32 or float64.

    >>> set_default_dtype("float32")
    """
    global _default
    dtype = as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"the default dtype must be float32 or float64, not {dtype}")
    _default = dtype
    for forget in plans_of_ops:
        forget()


def as_dtype(dtype: Any) -> np.dtype:
    """Return ``dtype`` as a NumPy dtype; TypeError if a tensor cannot have it."""
    found: np.dtype | None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found not in DTYPES:
        names = ", ".join(map(str, DTYPES))
        raise TypeError(f"dtype {dtype!r} is not supported; a tensor can have: {names}")
    return found


def promote(layouts: Sequence[Layout]) -> np.dtype:
    """Return the common dtype of tensors: of those with dimensions, raised by 0-d ones."""
    return _promote(tuple(layouts))


@functools.lru_cache(maxsize=4096)
def _promote(layouts: tuple[Layout, ...]) -> np.dtype:
    dimensioned = max((x.dtype for x in layouts if x.ndim), key=_width, default=BOOL)
    scalar = max((x.dtype for x in layouts if not x.ndim), key=_width, default=BOOL)
    raises = _CATEGORY[scalar.kind] > _CATEGORY[dimensioned.kind]
    return scalar if raises or not any(x.ndim for x in layouts) else dimensioned


def promote_types(a: Any, b: Any) -> np.dtype:
    """Return the narrowest dtype to which both convert.

    >>> promote_types("int64", "float32")
    dtype('float32')
    """
    return max(as_dtype(a), as_dtype(b), key=_width)


def scalar_dtype(value: bool | int | float, common: np.dtype | None) -> np.dtype:
    """Return the dtype of a Python number in an op with tensors of dtype ``common``, if any."""
    own = BOOL if isinstance(value, bool) else INT64 if isinstance(value, int) else _default
    if common is None or _CATEGORY[own.kind] > _CATEGORY[common.kind]:
        return own
    return common


def floating(dtype: np.dtype) -> np.dtype:
    """Return ``dtype`` if it is floating, else the default dtype, as for exp of integers."""
    return dtype if dtype.kind == "f" else _default
