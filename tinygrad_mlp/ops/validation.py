"""Checks of arguments of public functions. Their errors name the argument and the fix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tape import Value
from ..autograd.values import from_array


def as_tensor(function: str, name: str, value: Any) -> Any:
    """Return a tensor as it is, a NumPy array as a tensor; TypeError for anything else."""
    if isinstance(value, Value):
        return value
    if isinstance(value, np.ndarray):
        return from_array(value)
    raise TypeError(
        f"{function}: `{name}` must be a tensor, not {type(value).__name__}: tg.tensor({name})"
    )


def as_floating(function: str, name: str, value: Any) -> Any:
    """Return ``value`` as a float32 or float64 tensor; TypeError for another dtype."""
    value = as_tensor(function, name, value)
    if value.layout.dtype.kind != "f":
        raise TypeError(
            f"{function}: `{name}` must be a floating tensor, not {value.layout.dtype}: "
            f"{name}.float()"
        )
    return value


def like(function: str, name: str, value: Any, other: str, model: Any, shape: Any = None) -> Any:
    """Return ``value`` as a tensor of the dtype of ``model`` and of ``shape``.

    ``other`` is the name of ``model``; ``shape`` is that of the model if it is not given.

    Raises:
        ValueError: another shape.
        TypeError: another dtype, or not a tensor.
    """
    value = as_tensor(function, name, value)
    shape = model.layout.shape if shape is None else shape
    if value.layout.shape != shape:
        raise ValueError(
            f"{function}: `{name}` has shape {value.layout.shape}, but `{other}` of shape "
            f"{model.layout.shape} needs shape {shape}"
        )
    if value.layout.dtype != model.layout.dtype:
        raise TypeError(
            f"{function}: `{name}` is {value.layout.dtype} but `{other}` is {model.layout.dtype}; "
            f"convert one, as in {name}.to({other}.dtype)"
        )
    return value


def probability(function: str, name: str, value: Any) -> float:
    """Return a Python number from 0 to 1; TypeError or ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{function}: `{name}` must be a number, not {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{function}: `{name}` is a probability from 0 to 1, not {value}")
    return float(value)


def reduction_of(function: str, reduction: str, size: int) -> str:
    """Return ``reduction``, the way to reduce ``size`` losses.

    Raises:
        ValueError: it is not "none", "mean" or "sum", or it is the mean of no losses.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(
            f'{function}: `reduction` must be "none", "mean" or "sum", not {reduction!r}'
        )
    if reduction == "mean" and size == 0:
        raise ValueError(
            f"{function}: `input` is an empty batch, and the mean of no losses is undefined; skip "
            'the batch, or use reduction="sum"'
        )
    return reduction


def integer(function: str, name: str, value: Any, least: int) -> int:
    """Return an integer as an int; TypeError for anything else, ValueError below ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{function}: `{name}` must be an integer, not {value!r}")
    if value < least:
        raise ValueError(f"{function}: `{name}` must be {least} or more, not {value}")
    return int(value)
