"""What a function can reach by name: modules, optimizers, tensors, and the variables to watch.

The search starts at the function's closure, globals, defaults and, of a method, its object. It
continues in containers, attributes that the code names, and functions that are not this package's.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autograd.tape import Value

# Not np.void: a record can change.
_SCALARS = (np.number, np.bool_, np.character, np.datetime64)
PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None), *_SCALARS, np.dtype)
_PACKAGE = __name__.split(".")[0]
_FEW = 32  # entries of a list or dict that are watched


def is_module(value: Any) -> bool:
    """Return whether a value is an ``nn.Module``."""
    found = type(value)  # not of the object: its __getattr__ may raise anything
    return hasattr(found, "named_modules") and hasattr(found, "named_parameters")


def is_optimizer(value: Any) -> bool:
    """Return whether a value is an optimizer."""
    groups = hasattr(type(value), "param_groups") or "param_groups" in getattr(
        value, "__dict__", ()
    )
    return groups and hasattr(type(value), "step")


class Reachable:
    """What ``function`` reaches by name, each with its name."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self.modules: list[tuple[str, Any]] = []
        self.optimizers: list[tuple[str, Any]] = []
        self.tensors: list[tuple[str, Any]] = []
        self.cells: list[tuple[str, Any]] = []  # variables of closures
        self.items: list[tuple[str, Any, Any]] = []  # globals, attributes, entries: holder, key
        self.others: list[tuple[str, Any, frozenset[str]]] = []  # not watched as a whole
        self._visited: dict[int, Any] = {}
        self._attributes: frozenset[str] = frozenset()  # all names in the code being searched
        self._visit(getattr(function, "__name__", ""), function)

    def values(self) -> list[Any]:
        """Return the watched variables, as they are now."""
        cells = [cell_contents(cell) for _, cell in self.cells]
        return cells + [holder.get(key) for _, holder, key in self.items]

    def watched(self) -> Iterator[tuple[str, Any]]:
        """Yield the names of the watched variables, and their values."""
        yield from zip(
            (name for name, *_ in (*self.cells, *self.items)), self.values(), strict=True
        )

    def held(self) -> Iterator[tuple[str, Any]]:
        """Yield the values that modules, optimizers, containers and objects hold, by name."""
        for name, module in self.modules:
            for path, each in module.named_modules(prefix=name):
                members = {**vars(each), **each._parameters, **each._buffers}
                yield from ((f"{path}.{key}", value) for key, value in members.items())
        for name, optimizer in self.optimizers:
            for state in optimizer.state.values():
                yield from ((f"{name}.state[...][{key!r}]", v) for key, v in state.items())
        for name, value in (*self.watched(), *[(name, value) for name, value, _ in self.others]):
            yield name, value
            if isinstance(value, (list, tuple, dict)):
                entries = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{name}[{key!r}]", each) for key, each in entries)
            elif not isinstance(value, (type, types.ModuleType, Value)):
                attributes = getattr(value, "__dict__", {})
                yield from ((f"{name}.{key}", each) for key, each in [*attributes.items()])

    # --- the search ---

    def _visit(self, name: str, value: Any) -> None:
        if isinstance(value, Value) and id(value) not in self._visited:
            self.tensors.append((name, value))
        if id(value) in self._visited or isinstance(value, (type, Value, *PLAIN_TYPES)):
            return
        self._visited[id(value)] = value
        function = value.__func__ if isinstance(value, types.MethodType) else value
        if is_module(value):
            self.modules.append((name, value))
        elif is_optimizer(value):
            self.optimizers.append((name, value))
        elif isinstance(function, types.FunctionType):
            if isinstance(value, types.MethodType):
                self._visit_owner(value)
            package = (function.__module__ or "").split(".")[0]
            if package != _PACKAGE or value is self.function:
                self._visit_variables(function)
        else:
            self._visit_contents(name, value)

    def _visit_contents(self, name: str, value: Any) -> None:
        """Visit the entries of a container, or the attributes of an object that the code names."""
        self.others.append((name, value, self._attributes))
        holder: Any = value
        if isinstance(value, (list, tuple)):
            found = {k: (f"{name}[{k}]", each) for k, each in enumerate(value)}
            holder = types.SimpleNamespace(get=lambda k: value[k] if k < len(value) else None)
        elif isinstance(value, dict):
            found = {key: (f"{name}[{key!r}]", each) for key, each in value.items()}
        else:
            holder = getattr(value, "__dict__", {})
            found = {k: (f"{name}.{k}", v) for k, v in [*holder.items()] if k in self._attributes}
        if len(found) <= _FEW:
            self.items += [(path, holder, key) for key, (path, _) in found.items()]
            if isinstance(value, (list, dict)):
                length = types.SimpleNamespace(get=lambda _: len(value))
                self.items.append((f"len({name})", length, None))
        for path, each in found.values():
            self._visit(path, each)

    def _visit_owner(self, method: types.MethodType) -> None:
        """Visit the attributes of a method's object that the method names."""
        owner = method.__self__
        if is_module(owner):
            self._visit("self", owner)
            return
        outer, self._attributes = self._attributes, frozenset(_names(method.__func__.__code__))
        self._visit_contents("self", owner)
        self._attributes = outer

    def _visit_variables(self, function: types.FunctionType) -> None:
        """Visit the variables of a function that are not local."""
        code, outer = function.__code__, self._attributes
        self._attributes = frozenset(_names(code))
        for key, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self.cells.append((key, cell))
            self._visit(key, cell_contents(cell))
        for key in dict.fromkeys(_globals(code)):
            value = function.__globals__.get(key, function)
            if isinstance(value, types.ModuleType):  # its numbers, as in ``config.RATE``
                numbers = [k for k, v in [*vars(value).items()] if isinstance(v, PLAIN_TYPES)]
                self.items += [
                    (f"{key}.{k}", vars(value), k) for k in numbers if k in self._attributes
                ]
            elif key in function.__globals__:
                self.items.append((key, function.__globals__, key))
                self._visit(key, value)
        defaults = [("default", value) for value in function.__defaults__ or ()]
        for key, value in (*defaults, *(function.__kwdefaults__ or {}).items()):
            self._visit(key, value)
        self._attributes = outer


def names_of(modules: list[tuple[str, Any]], optimizers: list[tuple[str, Any]]) -> dict[int, str]:
    """Return the names of the tensors of modules and optimizers, by their id."""
    found: dict[int, str] = {}
    for name, module in modules:
        prefix = "" if len(modules) == 1 else f"{name}."
        for members in (module.named_parameters, module.named_buffers):
            found |= {id(value): f"{prefix}{key}" for key, value in members()}
    for name, optimizer in optimizers:
        for k, group in enumerate(optimizer.param_groups):
            owner = name if len(optimizer.param_groups) == 1 else f"{name}[{k}]"
            found |= {id(cell): f"{owner}.{key}" for key, cell in group.cells.items()}
            for p in group["params"]:
                for key, value in optimizer.state.get(p, {}).items():
                    of = owner if key == "step" else found.get(id(p), owner)
                    found.setdefault(id(value), f"{of}.{key}")
    return found


def cell_contents(cell: Any) -> Any:
    """Return the value of a variable of a closure; None if it is not assigned."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield every name of a variable or attribute in the code, and in the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _globals(code: types.CodeType) -> Iterator[str]:
    """Yield every global variable in the code, and in the functions inside it."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
        elif isinstance(instruction.argval, types.CodeType):
            yield from _globals(instruction.argval)
