"""Reading an optimizer's state dict: everything is checked before anything is changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autograd.tape import Value
from ..autograd.values import as_array, from_array
from ..kernels.runtime.layout import FLOAT64
from .param_group import numbers_of

Groups = list[dict[str, Any]]
States = dict[Any, dict[str, Any]]


def read_state_dict(optimizer: Any, state_dict: Mapping[str, Any]) -> tuple[Groups, States]:
    """Return the values of each group and the state of each parameter, if they fit ``optimizer``.

    Raises:
        TypeError, ValueError: they do not fit.
    """
    function = f"{optimizer.name}.load_state_dict"
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
        raise TypeError(f'{function}: `state_dict` must be a dict with "state" and "param_groups"')
    saved, unread = state_dict["param_groups"], state_dict["state"]
    if not (_are(saved, Mapping) and all(_are(g.get("params"), int) for g in saved)):
        raise TypeError(f'{function}: "param_groups" must be a list of dicts with "params"')
    if not isinstance(unread, Mapping) or not _are([*unread.values()], Mapping):
        raise TypeError(f'{function}: "state" must be a dict of dicts: {{0: {{name: tensor}}}}')
    counts = [len(group["params"]) for group in saved]
    own = [len(group["params"]) for group in optimizer.param_groups]
    if counts != own:
        raise ValueError(
            f"{function}: the groups have {counts} parameters, this optimizer's have {own}"
        )
    unread, states = dict(unread), {}
    groups = [
        _values(optimizer, function, group, values)
        for group, values in zip(optimizer.param_groups, saved, strict=True)
    ]
    for group, new, values in zip(optimizer.param_groups, groups, saved, strict=True):
        counters: dict[float, Any] = {}  # equal step counts of a group are one tensor
        for parameter, number in zip(group["params"], values["params"], strict=True):
            state = {k: v for k, v in unread.pop(number, {}).items() if v is not None}
            which = f"of state {number}"
            if state and not optimizer.updates:  # of a user's own optimizer, which may be anything
                states[parameter] = copy.deepcopy(state)
            elif state:
                _check_names(optimizer, f"{function}: state {number}", state, {**group, **new})
                states[parameter] = {
                    name: _tensor(f"{function}: {name} {which}", name, value, parameter, counters)
                    for name, value in state.items()
                }
    if unread:
        raise ValueError(f"{function}: there is state for parameters {[*unread]}, not here")
    return groups, states


def _values(optimizer: Any, function: str, group: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of one saved group, checked."""
    if missing := sorted(set(group.ranges) - set(saved)):
        raise ValueError(
            f"{function}: a group has no {', '.join(missing)}; is it another optimizer's state?"
        )
    for key, allowed in group.ranges.items():
        numbers_of(function, key, saved[key], allowed)
    for key, own in group.items():
        if isinstance(own, bool) and not isinstance(saved.get(key, own), bool):
            raise TypeError(f"{function}: `{key}` must be True or False, got {saved[key]!r}")
    values = {k: value for k, value in saved.items() if k not in ("params", "param_names")}
    optimizer.check({**group, **values})
    return values


def _check_names(
    optimizer: Any, which: str, state: Mapping[str, Any], group: Mapping[str, Any]
) -> None:
    known = {name for update in optimizer.updates for name in update.state} | {"step"}
    wanted = {*optimizer.choose(group).state, *(["step"] if optimizer.counts else [])}
    if set(state) - known or wanted - set(state):
        raise ValueError(
            f"{which} has {sorted(state)}, where {sorted(wanted)} is wanted; is it another "
            "optimizer's state?"
        )


def _tensor(which: str, name: str, value: Any, parameter: Any, counters: dict[float, Any]) -> Any:
    array = as_array(value) if isinstance(value, Value) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{which} must be a tensor, not {type(value).__name__}")
    shape = () if name == "step" else parameter.shape
    if array.shape != shape:
        raise ValueError(f"{which} has shape {array.shape}, not {shape}")
    if name != "step":
        return from_array(array.astype(parameter.dtype))
    return counters.setdefault(array.item(), from_array(array.astype(FLOAT64)))


def _are(values: Any, element: type) -> bool:
    """Return whether ``values`` is a list or tuple of such elements."""
    return isinstance(values, (list, tuple)) and all(isinstance(each, element) for each in values)
