"""How a tensor is printed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .autograd.dtypes import get_default_dtype
from .autograd.tape import Value
from .autograd.values import as_array
from .kernels.runtime.layout import BOOL, INT64

_OPTIONS: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3, "suppress": False}


def format_tensor(value: Value) -> str:
    """Return ``tensor([1., 2.])``, with the dtype if unusual, ``grad_fn`` or ``requires_grad``."""
    array = as_array(value)
    with np.printoptions(**_OPTIONS):
        if array.ndim:
            text = np.array2string(array, separator=", ", prefix="tensor(")
        else:
            text = np.array2string(array, floatmode="maxprec")
    notes = []
    if array.size == 0 and array.shape != (0,):
        notes.append(f"shape={array.shape}")
    if array.dtype not in (get_default_dtype(), INT64, BOOL) or array.size == 0:
        notes.append(f"dtype={array.dtype}")
    if value.node is not None:
        notes.append(f"grad_fn=<{value.node.op.name}>")
    elif value.requires_grad:
        notes.append("requires_grad=True")
    return f"tensor({', '.join([text, *notes])})"
