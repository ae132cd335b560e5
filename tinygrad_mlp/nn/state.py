"""State dicts: a module's parameters and persistent buffers by name, and how to load them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .._tensor import Tensor
from ..autograd.modes import grad_mode
from ..autograd.values import as_array
from ..ops.create import tensor
from ..ops.elementwise.arithmetic import copy_


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: keys that it did not find, and keys that it did not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={keys}" for name, keys in self._asdict().items())
        return f"IncompatibleKeys({fields})" if any(self) else "<All keys matched successfully>"


def tensors_of(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every parameter and persistent buffer, shared ones under each of their names."""
    own = {**module._parameters, **module._buffers}
    for name, value in own.items():
        if value is not None and name not in module._non_persistent:
            yield prefix + name, value
    for name, child in module._modules.items():
        if child is not None:
            yield from tensors_of(child, f"{prefix}{name}.")


def prepare_load(
    module: Any, state_dict: Mapping[str, Any], strict: bool = True
) -> Callable[[], IncompatibleKeys]:
    """Check a state dict, and return the function that copies its values into a module's tensors.

    Raises:
        TypeError, RuntimeError: as ``Module.load_state_dict``.
    """
    function = f"{type(module).__name__}.load_state_dict"
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"{function}: `state_dict` must be a dict of tensors by name, not "
            f"{type(state_dict).__name__}: tg.load(path), or model.state_dict()"
        )
    own = dict(tensors_of(module))
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    values = {key: _tensor(function, key, state_dict[key]) for key in own if key in state_dict}
    problems = [f"missing: {key}{_shape(own[key])}" for key in missing if strict]
    problems += [f"unexpected: {key}{_shape(state_dict[key])}" for key in unexpected if strict]
    for key, value in values.items():
        wanted = own[key]
        if value.shape != wanted.shape:
            problems.append(f"other shape: {key} is {value.shape}, wanted {wanted.shape}")
        if wanted.dtype.kind in "iu" and not _fits(value, wanted.dtype):
            problems.append(f"not integers: {key} is {value.dtype}, wanted {wanted.dtype}")
    if problems:
        raise RuntimeError(
            f"{function}: the state dict does not fit, and nothing was loaded\n  "
            + "\n  ".join(problems)
            + ("\nstrict=False loads what fits by name" if missing or unexpected else "")
        )
    if names := not_finite(values):  # before anything is changed: the warning may be an error
        warnings.warn(
            f"{function}: the state dict has values that are not finite (nan or inf) in "
            f"{', '.join(names)}",
            stacklevel=3,
        )

    def copy() -> IncompatibleKeys:
        with grad_mode(False):
            for key, value in values.items():
                copy_(own[key], value)
        return IncompatibleKeys(missing, unexpected)

    return copy


def not_finite(tensors: Mapping[str, Any]) -> list[str]:
    """Return the names of the tensors that hold nan or inf."""
    arrays = {name: as_array(value) for name, value in tensors.items()}
    return [name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()]


def _tensor(function: str, key: str, value: Any) -> Tensor:
    try:
        if hasattr(value, "detach"):  # a tensor, or PyTorch's, that may require a gradient
            value = value.detach()
        return value if isinstance(value, Tensor) else tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{function}: {key} is {type(value).__name__}, not a tensor: {error}"
        ) from None


def _shape(value: Any) -> str:
    return f", of shape {value.shape if isinstance(value, Tensor) else np.shape(value)}"


def _fits(value: Tensor, dtype: np.dtype[Any]) -> bool:
    """Return whether a tensor of an integer dtype can hold the values."""
    array = as_array(value)
    with np.errstate(invalid="ignore"):
        return bool((array.astype(dtype) == array).all())
