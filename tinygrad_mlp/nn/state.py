"""State dicts: a module's parameters and persistent buffers by name, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd.modes import grad_mode
from ..autograd.tape import Value
from ..autograd.values import as_array
from ..ops.create import tensor
from ..ops.elementwise.arithmetic import copy_


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it found but had no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def state_of(module: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every parameter and persistent buffer under each of its names: shared ones come again."""
    for name, value in module._parameters.items():
        if value is not None:
            yield prefix + name, value
    for name, value in module._buffers.items():
        if value is not None and name not in module._non_persistent:
            yield prefix + name, value
    for name, child in module._modules.items():
        if child is not None:
            yield from state_of(child, f"{prefix}{name}.")


def load_state_dict(module: Any, given: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Copy values into a module's tensors, if all of them fit."""
    name = type(module).__name__
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{name}.load_state_dict takes a dict of tensors by name, not {type(given).__name__}: "
            "tg.load(path), or model.state_dict()"
        )
    own = dict(state_of(module))
    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    values = {key: _value(name, key, given[key]) for key in own if key in given}
    problems = [f"missing: {key}, {_of(own[key])}" for key in missing if strict]
    problems += [f"unexpected: {key}, {_of(given[key])}" for key in unexpected if strict]
    problems += [
        f"other shape: {key} is {value.layout.shape}, wanted {own[key].layout.shape}"
        for key, value in values.items()
        if value.layout.shape != own[key].layout.shape
    ]
    problems += [
        f"no whole numbers: {key} is {value.layout.dtype}, wanted {own[key].layout.dtype}"
        for key, value in values.items()
        if own[key].layout.dtype.kind in "iu" and not _fits(value, own[key].layout.dtype)
    ]
    if problems:
        raise RuntimeError(
            f"{name}.load_state_dict: the state dict does not fit, and nothing was loaded\n  "
            + "\n  ".join(problems)
            + ("\nstrict=False loads what fits by name" if missing or unexpected else "")
        )
    with grad_mode(False):
        for key, value in values.items():
            copy_(own[key], value)
    return IncompatibleKeys(missing, unexpected)


def _value(name: str, key: str, value: Any) -> Any:
    try:
        if hasattr(value, "detach"):  # a tensor, or PyTorch's, that may require a gradient
            value = value.detach()
        return value if isinstance(value, Value) else tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name}.load_state_dict: {key} is {type(value).__name__}, no tensor: {error}"
        ) from None


def _fits(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether an integer dtype can hold the values."""
    array = as_array(value)
    with np.errstate(invalid="ignore"):
        return bool((array.astype(dtype) == array).all())


def _of(value: Any) -> str:
    return f"of shape {value.layout.shape if isinstance(value, Value) else np.shape(value)}"
