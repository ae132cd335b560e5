"""Which dtype a result has: PyTorch's promotion, and the default dtype.

Tensors with dimensions, 0-d tensors and Python numbers are three ranks. The highest rank present
decides, unless a lower rank is of a higher kind (bool < integer < float):

    float32 (3,) + float64 ()  -> float32        int64 (3,) + 0.5 -> float32, the default dtype
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..kernels.runtime.layout import BOOL, DTYPES, FLOAT32, FLOAT64, INT64, Layout

_RANK = {dtype: rank for rank, dtype in enumerate(DTYPES)}
_KIND = {"b": 0, "u": 1, "i": 1, "f": 2}
_default: np.dtype = FLOAT32
plans_of_ops: list[Callable[[], None]] = []  # called when the default dtype changes


def get_default_dtype() -> np.dtype:
    """The dtype of tensors made from Python floats: float32, or what `set_default_dtype` said."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Make tensors from Python floats ``dtype`` (float32 or float64) from now on.

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
    """``dtype`` as a NumPy dtype that a tensor can have; TypeError with the list if it cannot."""
    found: np.dtype | None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found not in _RANK:
        names = ", ".join(map(str, DTYPES))
        raise TypeError(f"dtype {dtype!r} is none of those a tensor can have: {names}")
    return found


def promote(layouts: Iterable[Layout]) -> np.dtype:
    """The common dtype: of tensors with dimensions, unless a 0-d one is of a higher kind."""
    dimensioned: np.dtype | None = None
    scalar: np.dtype | None = None
    for layout in layouts:
        if layout.ndim:
            dimensioned = _higher(dimensioned, layout.dtype)
        else:
            scalar = _higher(scalar, layout.dtype)
    if dimensioned is None or scalar is None:
        return dimensioned if dimensioned is not None else scalar  # type: ignore[return-value]
    lifts = _KIND[scalar.kind] > _KIND[dimensioned.kind]
    return _higher(dimensioned, scalar) if lifts else dimensioned


def _higher(a: np.dtype | None, b: np.dtype) -> np.dtype:
    return b if a is None or _RANK[b] > _RANK[a] else a


def promote_types(a: np.dtype, b: np.dtype) -> np.dtype:
    """The smallest dtype to which both convert.

    >>> promote_types(np.dtype("int64"), np.dtype("float32"))
    dtype('float32')
    """
    return _higher(as_dtype(a), as_dtype(b))


def scalar_dtype(value: bool | int | float, common: np.dtype | None) -> np.dtype:
    """The dtype of a Python number beside tensors of dtype ``common`` (None: there are none)."""
    own = BOOL if isinstance(value, bool) else INT64 if isinstance(value, int) else _default
    if common is None or _KIND[own.kind] > _KIND[common.kind]:
        return own
    return common


def floating(dtype: np.dtype) -> np.dtype:
    """``dtype`` if it is floating, else the default: what exp(integers) has."""
    return dtype if dtype.kind == "f" else _default


__all__ = [
    "BOOL",
    "FLOAT32",
    "FLOAT64",
    "INT64",
    "as_dtype",
    "floating",
    "get_default_dtype",
    "promote",
    "promote_types",
    "scalar_dtype",
    "set_default_dtype",
]
