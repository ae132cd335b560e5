"""What a captured step took for granted of Python, and how to see that it no longer holds.

Looked at before every run: numbers, booleans and strings among the names that the function uses (in
its closure, its module, and the functions it calls that are not this package's), the mode of
taping, the default dtype, the number of threads. Modules only when `structure_version` has moved:
then their modes, attributes, parameters and hooks.

All else is frozen when the step is captured.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

from ..kernels.threads import get_num_threads
from ..ops.dtypes import get_default_dtype
from ..tape import Value, is_grad_enabled
from ..watch import structure_version

PLAIN = (bool, int, float, complex, str, bytes, type(None))
_PACKAGE = __name__.split(".")[0]


class Surroundings:
    """The names that a function uses, and what of them can be watched."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self.modules: list[tuple[str, Any]] = []
        self.optimizers: list[tuple[str, Any]] = []
        self.tensors: list[tuple[str, Any]] = []
        self.plain: list[tuple[str, Callable[[], Any]]] = []
        self.seen: set[int] = set()
        self._visit("", function)
        self.version, self.look = -1, ()  # type: tuple[int, tuple[Any, ...]]

    # --- finding ---

    def _visit(self, name: str, value: Any) -> None:
        if isinstance(value, Value):
            self.tensors.append((name, value))
        if id(value) in self.seen or isinstance(value, (type, types.ModuleType, Value)):
            return
        self.seen.add(id(value))
        if hasattr(value, "named_modules") and hasattr(value, "named_parameters"):
            self.modules.append((name, value))
            return
        if hasattr(value, "param_groups") and hasattr(value, "step"):
            self.optimizers.append((name, value))
            return
        function = getattr(value, "__func__", value)
        if isinstance(value, types.MethodType):
            self._attributes(name, value.__self__)
        if isinstance(function, types.FunctionType):
            if (function.__module__ or "").split(".")[0] != _PACKAGE:
                self._names(function)
        elif isinstance(value, (list, tuple)):
            for k, each in enumerate(value):
                self._visit(f"{name}[{k}]", each)
        elif isinstance(value, dict):
            for key, each in value.items():
                self._visit(f"{name}[{key!r}]", each)

    def _attributes(self, name: str, owner: Any) -> None:
        """What hangs on the object that a method belongs to."""
        if hasattr(owner, "named_modules"):
            self._visit("self", owner)
            return
        for key, value in getattr(owner, "__dict__", {}).items():
            self._found(f"self.{key}", value, _Attribute(owner, key))

    def _names(self, function: types.FunctionType) -> None:
        """The variables of a function that are not its own."""
        for key, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self._found(key, _contents(cell), _Contents(cell))
        for key in dict.fromkeys(_global_names(function.__code__)):
            if key in function.__globals__:
                self._found(key, function.__globals__[key], _Item(function.__globals__, key))
        for key, value in (function.__kwdefaults__ or {}).items():
            self._visit(key, value)

    def _found(self, name: str, value: Any, read: Callable[[], Any]) -> None:
        if isinstance(value, PLAIN):
            self.plain.append((name, read))
        else:
            self.plain.append((name, _Identity(read)))
            self._visit(name, value)

    # --- looking ---

    def now(self) -> tuple[Any, ...]:
        """What can be watched, as it is now: equal as long as nothing of it changed."""
        if structure_version() != self.version:
            self.version = structure_version()
            modules = [_look(module) for _, module in self.modules]
            self.look = (*modules, *[_look_at_optimizer(each) for _, each in self.optimizers])
        values = [read() for _, read in self.plain]
        return (is_grad_enabled(), get_default_dtype(), get_num_threads(), self.look,
                *values, *map(type, values))  # fmt: skip

    def numbers(self) -> dict[str, Any]:
        """What a step must not change by itself, by name: a program would not change it."""
        found = {name: read() for name, read in self.plain}
        return found | {name or "the model": _look(module) for name, module in self.modules}

    def names(self) -> dict[int, str]:
        """What tensors are called, by their identity: for print."""
        found: dict[int, str] = {}
        for name, module in self.modules:
            alone = len(self.modules) == 1
            for kind in (module.named_parameters, module.named_buffers):
                found |= {id(v): key if alone else f"{name}.{key}" for key, v in kind()}
        for name, optimizer in self.optimizers:
            for group in optimizer.param_groups:
                found |= {id(cell): f"{name}.{key}" for key, cell in group.cells.items()}
                for p in group["params"]:
                    of = found.get(id(p), "")
                    state = optimizer.state.get(p, {}).items()
                    found |= {id(v): f"{of}.{key}" if of else key for key, v in state}
        return found | {id(value): name for name, value in self.tensors}


def _global_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None


class _Contents:
    def __init__(self, cell: Any):
        self.cell = cell

    def __call__(self) -> Any:
        return _contents(self.cell)


class _Item:
    def __init__(self, names: dict[str, Any], key: str):
        self.names, self.key = names, key

    def __call__(self) -> Any:
        return self.names.get(self.key)


class _Attribute:
    def __init__(self, owner: Any, key: str):
        self.owner, self.key = owner, key

    def __call__(self) -> Any:
        return getattr(self.owner, self.key, None)


class _Identity:
    """Which object it is; of one that is a plain value now, that value."""

    def __init__(self, read: Callable[[], Any]):
        self.read = read

    def __call__(self) -> Any:
        value = self.read()
        return value if isinstance(value, PLAIN) else id(value)


def _look(module: Any) -> tuple[Any, ...]:
    """All of a module that changes what it computes."""
    return tuple(
        (id(each), tuple(_seen(value) for value in vars(each).items()))
        for _, each in module.named_modules()
    )


def _look_at_optimizer(optimizer: Any) -> tuple[Any, ...]:
    """Which parameters an optimizer has, in which groups, and which tensors are their state."""
    return id(optimizer), tuple(
        tuple((id(p), tuple(map(id, optimizer.state.get(p, {}).values()))) for p in group["params"])
        for group in optimizer.param_groups
    )


def _seen(item: tuple[str, Any]) -> Any:
    name, value = item
    if isinstance(value, PLAIN):
        return name, value
    if isinstance(value, dict):
        return name, tuple((key, _seen((key, each))) for key, each in value.items())
    if isinstance(value, (tuple, list)):
        return name, tuple(_seen(("", each)) for each in value)
    return name, id(value)
