"""What a captured step took for granted of Python, and how to see that it no longer holds.

Looked at before every run: the variables that the function uses (in its closure, its module, the
object whose method it is, and the functions it calls that are not this package's), the entries of
short lists and dicts among them and the attributes of objects, by value where they are numbers,
booleans or strings, else by identity; the mode of taping, the default dtype, the number of
threads. Modules and optimizers only when `structure_version` has moved: then their modes,
attributes, parameters, hooks and states.

All else is frozen when the step is captured; `frozen` says by which names.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .._common.change_counter import structure_version
from ..autograd.dtypes import get_default_dtype
from ..autograd.modes import is_grad_enabled
from ..autograd.tape import Value
from ..kernels.runtime.threads import get_num_threads

PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)
_PACKAGE = __name__.split(".")[0]
_FEW = 32  # entries of a list or dict that are watched


class Same:
    """An object as a part of a key: equal to itself alone, and alive as long as the key is."""

    __slots__ = ("object",)

    def __init__(self, thing: Any):
        self.object = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.object is self.object

    def __hash__(self) -> int:
        return id(self.object)


def plain(value: Any) -> Any:
    """A plain value as a part of a key: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    return type(value), value if value else repr(value)


class GuardSnapshot(NamedTuple):
    """What surrounds a function at one time."""

    look: Same
    grad: bool
    dtype: np.dtype
    threads: int
    cells: list[tuple[Any, Any]]
    items: list[tuple[Any, Any, Any]]


class GuardContext:
    """The names that a function uses, and what of them can be watched."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self.looks: dict[Any, Same] = {}  # equal looks are one object
        self.version, self.look = -1, Same(None)
        self.structure: tuple[Any, ...] = ()
        self.modes: list[tuple[Any, bool]] = []  # of all modules
        self.arguments: dict[int, tuple[int, Any]] = {}  # what modules among them looked like
        self.own: frozenset[int] = frozenset()  # the tensors of modules, and variables
        self.scanned: list[Any] | None = None  # the variables, when it was found what they lead to

    def scan(self) -> None:
        """Find what the function's variables lead to: before the first call, and when one changed.

        Not when the function is made: its module may not be complete then.
        """
        if self.scanned is not None:
            now = self.values()
            if all(one is other for one, other in zip(now, self.scanned, strict=True)):
                return
        self.modules: list[tuple[str, Any]] = []
        self.optimizers: list[tuple[str, Any]] = []
        self.tensors: list[tuple[str, Any]] = []
        self.cells: list[tuple[str, Any]] = []  # variables of closures
        self.items: list[tuple[str, Any, Any]] = []  # globals, attributes, entries of containers
        self.others: list[tuple[str, Any, frozenset[str]]] = []  # reached, but no more than that
        self.seen: dict[int, Any] = {}
        self.attributes: frozenset[str] = frozenset()  # all names in the code under way
        self._visit(getattr(self.function, "__name__", ""), self.function)
        self.scanned, self.version = self.values(), -1

    # --- finding ---

    def _visit(self, name: str, value: Any) -> None:
        if isinstance(value, Value) and id(value) not in self.seen:
            self.tensors.append((name, value))
        if id(value) in self.seen or isinstance(value, (type, Value, *PLAIN)):
            return
        self.seen[id(value)] = value
        function = getattr(value, "__func__", value)
        if _is_module(value):
            self.modules.append((name, value))
        elif _is_optimizer(value):
            self.optimizers.append((name, value))
        elif isinstance(function, types.FunctionType):
            if isinstance(value, types.MethodType):
                self._owner(value)
            own = (function.__module__ or "").split(".")[0] == _PACKAGE
            if not own or value is self.function:
                self._names(function)
        else:
            self._contents_of(name, value)

    def _contents_of(self, name: str, value: Any) -> None:
        """What is in a container, or hangs on another object and is named by the code."""
        self.others.append((name, value, self.attributes))
        if isinstance(value, (list, tuple)):
            found = {k: (f"{name}[{k}]", each) for k, each in enumerate(value)}
            holder: Any = types.SimpleNamespace(get=lambda k: value[k] if k < len(value) else None)
        elif isinstance(value, dict):
            found = {key: (f"{name}[{key!r}]", each) for key, each in value.items()}
            holder = value
        else:
            holder = getattr(value, "__dict__", {})
            found = {k: (f"{name}.{k}", v) for k, v in [*holder.items()] if k in self.attributes}
        if len(found) <= _FEW:
            self.items += [(said, holder, key) for key, (said, _) in found.items()]
            if isinstance(value, (list, dict)):
                size = types.SimpleNamespace(get=lambda _: len(value))
                self.items.append((f"len({name})", size, None))
        for said, each in found.values():
            self._visit(said, each)

    def _owner(self, method: types.MethodType) -> None:
        """What hangs on the object that a method belongs to, as far as the method names it."""
        owner = method.__self__
        if _is_module(owner):
            self._visit("self", owner)
            return
        before, self.attributes = self.attributes, frozenset(_named(method.__func__.__code__))
        self._contents_of("self", owner)
        self.attributes = before

    def _names(self, function: types.FunctionType) -> None:
        """The variables of a function that are not its own."""
        code, before = function.__code__, self.attributes
        self.attributes = frozenset(_named(code))
        for key, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self.cells.append((key, cell))
            self._visit(key, _contents(cell))
        for key in dict.fromkeys(_globals(code)):
            if key in function.__globals__:
                value = function.__globals__[key]
                if isinstance(value, types.ModuleType):
                    self._numbers_of(key, value)
                    continue
                self.items.append((key, function.__globals__, key))
                self._visit(key, value)
        for value in function.__defaults__ or ():
            self._visit("default", value)
        for key, value in (function.__kwdefaults__ or {}).items():
            self._visit(key, value)
        self.attributes = before

    def _numbers_of(self, name: str, module: types.ModuleType) -> None:
        """The numbers of a Python module that the code names, as in ``config.RATE``."""
        for key, value in [*vars(module).items()]:
            if key in self.attributes and isinstance(value, PLAIN):
                self.items.append((f"{name}.{key}", vars(module), key))

    # --- looking ---

    def values(self) -> list[Any]:
        """The watched variables, as they are now."""
        return [
            *[_contents(cell) for _, cell in self.cells],
            *[names.get(key) for _, names, key in self.items],
        ]

    def snapshot(self, look: Same) -> GuardSnapshot:
        """What `unchanged` compares, as it is now but for the look."""
        return GuardSnapshot(
            look,
            is_grad_enabled(),
            get_default_dtype(),
            get_num_threads(),
            [(cell, _contents(cell)) for _, cell in self.cells],
            [(names, key, names.get(key)) for _, names, key in self.items],
        )

    def unchanged(self, snapshot: GuardSnapshot) -> bool:
        """Whether nothing moved since then; told in no time, and where in doubt, no."""
        look, grad, dtype, threads, cells, items = snapshot
        if (
            look is not self.look
            or grad is not is_grad_enabled()
            or dtype is not get_default_dtype()
            or threads != get_num_threads()
        ):
            return False
        try:
            for cell, was in cells:
                if cell.cell_contents is not was:
                    return False
        except ValueError:  # deleted
            return False
        for names, key, was in items:  # noqa: SIM110 - a generator takes twice the time
            if names.get(key) is not was:
                return False
        return True

    def refresh(self) -> None:
        """Look at modules and optimizers, if any changed anywhere; before all else is asked."""
        if structure_version() == self.version:
            return
        self.version = structure_version()
        modules = [_look(module) for _, module in self.modules]
        self.structure = (*modules, *[_look_at_optimizer(each) for _, each in self.optimizers])
        self.modes = [(m, m.training) for _, module in self.modules for m in module.modules()]
        self.look = self.look_in(self.modes)
        self.own = frozenset(self.names())

    def look_in(self, modes: list[tuple[Any, bool]]) -> Same:
        """How modules and optimizers look, were these the modes of the modules."""
        look = (self.structure, tuple(training for _, training in modes))
        return self.looks.setdefault(look, Same(look))

    def look_again(self) -> None:
        """Look at modules and optimizers: a state that came to be moves no number."""
        self.version = -1
        self.arguments.clear()
        self.refresh()

    def key(self, look: Same) -> tuple[Any, ...]:
        """What can be watched, with this look: equal as long as nothing of it changed."""
        values, modes = self.values(), (is_grad_enabled(), get_default_dtype(), get_num_threads())
        return (look, *modes, *[plain(v) if isinstance(v, PLAIN) else Same(v) for v in values])

    def of_argument(self, value: Any) -> Any:
        """An argument that is no tensor, array, number or container, as a part of a key."""
        if _is_module(value) or _is_optimizer(value):
            version, look = self.arguments.get(id(value), (-1, None))
            if version != structure_version():
                version = structure_version()
                look = (
                    _look_at_optimizer(value)
                    if _is_optimizer(value)
                    else (_look(value), tuple(each.training for each in value.modules()))
                )
                look = self.looks.setdefault(look, Same(look))
                self.arguments[id(value)] = version, look
            return look
        own = getattr(value, "__dict__", None)  # of a method's `self`, say
        if own is None or isinstance(value, (type, types.FunctionType, types.ModuleType)):
            return Same(value)
        return Same(value), *[
            plain(v)
            if isinstance(v, PLAIN)
            else self.of_argument(v)
            if _is_module(v) or _is_optimizer(v)
            else Same(v)
            for v in own.values()
        ]

    # --- saying ---

    def numbers(self) -> dict[str, Any]:
        """What a step must not change by itself, by name: a program would not change it."""
        self.scan()
        found = {name: value for name, value in self.watched() if isinstance(value, PLAIN)}
        return found | {
            name or "the model": (_look(module), [each.training for each in module.modules()])
            for name, module in self.modules
        }

    def names(self) -> dict[int, str]:
        """What tensors are called, by their identity: for print."""
        return names_of(self.modules, self.optimizers) | {
            id(value): name for name, value in self.tensors
        }

    def leaves(self) -> list[Any]:
        """The tensors that may have gradients which the function reads or sets."""
        found = [v for _, module in self.modules for v in module.parameters()]
        for _, optimizer in self.optimizers:
            found += [p for group in optimizer.param_groups for p in group["params"]]
        found += [
            v for v in (*self.values(), *[v for _, v in self.tensors]) if isinstance(v, Value)
        ]
        return list({id(v): v for v in found if v.layout.dtype.kind == "f"}.values())

    def held(self) -> Iterator[tuple[str, Any]]:
        """The tensors that the function's surroundings hold, and where."""
        for name, module in self.modules:
            for path, each in module.named_modules(prefix=name):
                kept = {**vars(each), **each._parameters, **each._buffers}
                yield from ((f"{path}.{key}", value) for key, value in kept.items())
        for name, optimizer in self.optimizers:
            for state in optimizer.state.values():
                yield from ((f"{name}.state[...][{key!r}]", v) for key, v in state.items())
        for name, value in (*self.watched(), *[(name, value) for name, value, _ in self.others]):
            yield name, value
            if isinstance(value, (list, tuple, dict)):
                inside = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{name}[{key!r}]", each) for key, each in inside)
            elif not isinstance(value, (type, types.ModuleType, Value)):
                own = getattr(value, "__dict__", {})
                yield from ((f"{name}.{key}", each) for key, each in [*own.items()])

    def watched(self) -> Iterator[tuple[str, Any]]:
        """The names that are watched, and what they are."""
        names = [name for name, *_ in (*self.cells, *self.items)]
        yield from zip(names, self.values(), strict=True)

    def frozen(self) -> Iterator[tuple[str, Any]]:
        """What was reached when captured, could change, and is not watched."""
        for name, value, attributes in self.others:
            if isinstance(value, np.ndarray):
                yield name, value
            elif isinstance(value, (list, tuple, dict)):
                if len(value) > _FEW:
                    yield name, value
            else:
                for key, each in vars(type(value)).items():
                    if key in attributes and isinstance(each, PLAIN):
                        yield f"{name}.{key}", each


def names_of(modules: list[tuple[str, Any]], optimizers: list[tuple[str, Any]]) -> dict[int, str]:
    """The names of the tensors of modules and optimizers, by their identity."""
    found: dict[int, str] = {}
    for name, module in modules:
        alone = len(modules) == 1
        for members in (module.named_parameters, module.named_buffers):
            found |= {id(v): key if alone else f"{name}.{key}" for key, v in members()}
    for name, optimizer in optimizers:
        for k, group in enumerate(optimizer.param_groups):
            owner = name if len(optimizer.param_groups) == 1 else f"{name}[{k}]"
            found |= {id(cell): f"{owner}.{key}" for key, cell in group.cells.items()}
            for p in group["params"]:
                of, state = found.get(id(p), owner), optimizer.state.get(p, {})
                for key, value in state.items():
                    found.setdefault(id(value), f"{owner}.step" if key == "step" else f"{of}.{key}")
    return found


def _named(code: types.CodeType) -> Iterator[str]:
    """Every name of a variable or attribute in the code, and in the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _named(constant)


def _globals(code: types.CodeType) -> Iterator[str]:
    """Every global variable in the code, and in the functions inside it; not attributes."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
        elif isinstance(instruction.argval, types.CodeType):
            yield from _globals(instruction.argval)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None


def _is_module(value: Any) -> bool:
    return hasattr(value, "named_modules") and hasattr(value, "named_parameters")


def _is_optimizer(value: Any) -> bool:
    return hasattr(value, "param_groups") and hasattr(value, "step")


def _look(module: Any) -> tuple[Any, ...]:
    """All of a module that changes what it computes."""
    return tuple(
        (Same(each), tuple((k, _seen(value)) for k, value in vars(each).items() if k != "training"))
        for _, each in module.named_modules()
    )


def _look_at_optimizer(optimizer: Any) -> tuple[Any, ...]:
    """Which parameters an optimizer has, in which groups, and which tensors are their state."""
    return Same(optimizer), tuple(
        tuple(
            (Same(p), tuple(map(Same, optimizer.state.get(p, {}).values())))
            for p in group["params"]
        )
        for group in optimizer.param_groups
    )


def _seen(value: Any) -> Any:
    if isinstance(value, PLAIN):
        return plain(value)
    if isinstance(value, Value):  # `module.double()` moves a parameter to other memory
        return Same(value), Same(value.storage), value.layout
    if isinstance(value, dict):
        return tuple((key, _seen(each)) for key, each in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(map(_seen, value))
    return Same(value)
