"""Reading a saved optimizer: its hyperparameters and states, checked before anything is changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autograd.tape import Value
from ..autograd.values import as_array, from_array
from ..kernels.runtime.layout import FLOAT64
from .param_group import checked


def read(
    optimizer: Any, state_dict: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[Any, dict[str, Any]]]:
    """The groups' values and the parameters' states in a state dict, if they fit ``optimizer``."""
    groups = _groups(optimizer, state_dict)
    return groups, _states(optimizer, state_dict, groups)


def _groups(optimizer: Any, state_dict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The hyperparameters in a state dict, if they are of such groups as here."""
    here = f"{optimizer.name}.load_state_dict"
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
        raise TypeError(f'{here} takes a dict with "state" and "param_groups"')
    saved = state_dict["param_groups"]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    if [len(group["params"]) for group in saved] != sizes:
        raise ValueError(
            f"{here}: the groups have {[len(group['params']) for group in saved]} parameters, "
            f"this optimizer's have {sizes}"
        )
    result = []
    for group, new in zip(optimizer.param_groups, saved, strict=True):
        if missing := sorted(set(group.ranges) - set(new)):
            raise ValueError(
                f"{here}: a group has no {', '.join(missing)}; is it another optimizer's state?"
            )
        for key, allowed in group.ranges.items():
            checked(here, key, new[key], allowed)
        kept = ("params", "param_names")
        result.append({key: value for key, value in new.items() if key not in kept})
        optimizer.check({**group, **result[-1]})
    return result


def _states(
    optimizer: Any, state_dict: Mapping[str, Any], groups: list[dict[str, Any]]
) -> dict[Any, dict[str, Any]]:
    """The parameters' states in a state dict, if they fit the parameters here."""
    here = f"{optimizer.name}.load_state_dict"
    found = dict(state_dict["state"])
    result = {}
    for group, values, saved in zip(
        optimizer.param_groups, groups, state_dict["param_groups"], strict=True
    ):
        steps: dict[float, Any] = {}  # equal counts in a group share a cell
        for parameter, number in zip(group["params"], saved["params"], strict=True):
            entry = {n: v for n, v in found.pop(number, {}).items() if v is not None}
            if entry:
                if optimizer.updates:
                    _check_names(optimizer, f"{here}: state {number}", entry, {**group, **values})
                result[parameter] = {
                    name: _tensor(
                        optimizer,
                        f"{here}: {name} of state {number}",
                        name,
                        value,
                        parameter,
                        steps,
                    )
                    for name, value in entry.items()
                }
    if found:
        raise ValueError(f"{here}: there is state for parameters {sorted(found)}, but none such")
    return result


def _check_names(
    optimizer: Any, which: str, entry: Mapping[str, Any], group: Mapping[str, Any]
) -> None:
    known = {name for update in optimizer.updates for name in update.state} | {"step"}
    wanted = {*optimizer.choose(group).state, *(["step"] if optimizer.counts else [])}
    if set(entry) - known or wanted - set(entry):
        raise ValueError(
            f"{which} has {sorted(entry)}, where {sorted(wanted)} is wanted; is it another "
            "optimizer's state?"
        )


def _tensor(
    optimizer: Any, which: str, name: str, value: Any, parameter: Any, steps: dict[float, Any]
) -> Any:
    if not optimizer.updates:  # a user's own optimizer: who knows what its state is
        return copy.deepcopy(value)
    array = as_array(value) if isinstance(value, Value) else np.asarray(value)
    shape = () if name == "step" else parameter.shape
    if array.shape != shape:
        raise ValueError(f"{which} has shape {array.shape}, not {shape}")
    if name != "step":
        return from_array(array.astype(parameter.dtype))
    return steps.setdefault(array.item(), from_array(array.astype(FLOAT64)))
