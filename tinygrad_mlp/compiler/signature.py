"""The arguments of a compiled function: the arrays among them, and what kind of call they make."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tape import Value
from .guards import PLAIN, GuardContext, Same, plain


def arrays(values: Any) -> list[Any]:
    """The tensors and arrays in a structure of tuples, lists and dicts, in order."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, (Value, np.ndarray)):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += arrays(value)
        elif isinstance(value, dict):
            found += arrays(value.values())
    return found


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A structure of tuples, lists and dicts with what is in it changed; other kinds are left."""
    if isinstance(value, (tuple, list)):
        parts = [mapped(each, change) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        result = copy.copy(value)  # whatever kind of dict it is
        result.update({key: mapped(each, change) for key, each in value.items()})
        return result
    return change(value)


def kinds(
    args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Any], around: GuardContext
) -> tuple[Any, ...]:
    """What of the arguments decides which program a call takes; ``given`` are their `arrays`."""
    found = [_kind(value, around) for value in args]
    for name, value in kwargs.items():
        found.append((name, _kind(value, around)))
    if len(given) > 1:
        storages = {id(value.storage) for value in given if isinstance(value, Value)}
        if len(storages) < len(given):
            found.append(_sharing(given))
    return tuple(found)


def _kind(value: Any, around: GuardContext) -> Any:
    if isinstance(value, Value):
        if id(value) in around.own:  # the function knows this one by name
            return Same(value)
        return value.layout, value.requires_grad, value.requires_grad and value.grad is None
    if isinstance(value, np.ndarray):
        return value.shape, value.strides, value.dtype
    if isinstance(value, PLAIN):
        return plain(value)
    if isinstance(value, (tuple, list)):
        return type(value), tuple(_kind(each, around) for each in value)
    if isinstance(value, dict):
        return dict, tuple((key, _kind(each, around)) for key, each in value.items())
    return around.of_argument(value)


def _sharing(given: list[Any]) -> tuple[Any, ...]:
    """Which of several tensors are one, and which lie in one memory, and how far apart."""
    tensors = [value for value in given if isinstance(value, Value)]
    objects, storages = [*map(id, tensors)], [id(value.storage) for value in tensors]
    found = []
    for value in tensors:
        first = storages.index(id(value.storage))
        found.append((objects.index(id(value)), first, value.address - tensors[first].address))
    return tuple(found)
