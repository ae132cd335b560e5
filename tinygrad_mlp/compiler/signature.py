"""The arguments of a compiled function: the arrays among them, and their signature."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tape import Value
from .guards import GuardContext, Identity, plain_key
from .reachable import PLAIN_TYPES, names_of
from .watch import is_immutable


def arrays_in(values: Any) -> list[Any]:
    """Return the tensors and arrays in a structure of tuples, lists and dicts, in order."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, (Value, np.ndarray)):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += arrays_in(value)
        elif isinstance(value, dict):
            found += arrays_in(value.values())
    return found


def map_structure(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return a structure of tuples, lists and dicts with a function applied to its leaves."""
    if isinstance(value, (tuple, list)):
        parts = [map_structure(each, function) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        result = copy.copy(value)  # of the same subclass of dict
        result.update({key: map_structure(each, function) for key, each in value.items()})
        return result
    return function(value)


def signature(
    args: tuple[Any, ...], kwargs: dict[str, Any], arrays: list[Any], context: GuardContext
) -> tuple[Any, ...]:
    """Return what of the arguments chooses the program; ``arrays`` are their `arrays_in`."""
    found = [_key(value, context) for value in args]
    found += [(name, _key(value, context)) for name, value in kwargs.items()]
    if len(arrays) > 1:
        storages = {id(value.storage) for value in arrays if isinstance(value, Value)}
        if len(storages) < len(arrays):
            found.append(_aliasing(arrays))
    return tuple(found)


def _key(value: Any, context: GuardContext) -> Any:
    if isinstance(value, Value):
        if id(value) in context.named:
            return Identity(value)
        return value.layout, value.requires_grad, value.requires_grad and value.grad is None
    if isinstance(value, np.ndarray):
        return value.shape, value.strides, value.dtype
    if isinstance(value, PLAIN_TYPES):
        return plain_key(value) if is_immutable(value) else Identity(value)
    if isinstance(value, slice):
        return slice, *(_key(each, context) for each in (value.start, value.stop, value.step))
    if isinstance(value, range):
        return range, repr(value)
    if isinstance(value, (tuple, list)):
        return type(value), tuple(_key(each, context) for each in value)
    if isinstance(value, dict):
        return dict, tuple((key, _key(each, context)) for key, each in value.items())
    return context.argument_key(value)


def _aliasing(arrays: list[Any]) -> tuple[Any, ...]:
    """Return which tensors are the same, and which share memory, how many bytes apart."""
    tensors = [value for value in arrays if isinstance(value, Value)]
    ids, storages = [*map(id, tensors)], [id(value.storage) for value in tensors]
    found = []
    for value in tensors:
        first = storages.index(id(value.storage))
        found.append((ids.index(id(value)), first, value.address - tensors[first].address))
    return tuple(found)


def argument_names(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[int, str]:
    """Return the names of the function's arguments, by the ids of the tensors in them."""
    function = getattr(function, "forward", function)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if hasattr(function, "__self__"):
        names = names[1:]
    names += [f"x{k}" for k in range(len(names), len(args))]
    found: dict[int, str] = {}
    for name, value in (*zip(names, args, strict=False), *kwargs.items()):
        if isinstance(value, Value):
            found[id(value)] = name
        elif hasattr(value, "named_modules"):
            found |= names_of([(name, value)], [])
        elif hasattr(value, "param_groups"):
            found |= names_of([], [(name, value)])
        elif isinstance(value, (tuple, list, dict)):
            found |= {id(v): f"{name}[{k}]" for k, v in enumerate(arrays_in((value,)))}
    return found
