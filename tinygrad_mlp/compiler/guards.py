"""Guards: what a captured step depends on in Python, and whether it is still the same.

Checked before every run:

- the variables that the function uses (``reachable.py``): in its closure, its module, the object
  whose method it is, the functions it calls, short lists and dicts, attributes of objects; and what
  else it reached when it was captured (``watches.py``). Numbers, booleans and strings are compared
  by value, other objects by identity;
- grad mode, default dtype, number of threads;
- of modules and optimizers their modes, attributes, parameters, hooks and states, but only if
  `structure_version` has changed.

What a step may not read, and what it may not change, is refused (``tracer.py``).
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from .._common.change_counter import structure_version
from ..autograd.dtypes import get_default_dtype
from ..autograd.modes import is_grad_enabled
from ..autograd.tape import Value
from ..kernels.runtime.threads import get_num_threads
from .reachable import PLAIN_TYPES, Reachable, cell_contents, is_module, is_optimizer, names_of
from .watch import Watch


class Identity:
    """An object as a part of a key: equal to itself only, and alive as long as the key is."""

    __slots__ = ("__weakref__", "object")

    def __init__(self, thing: Any):
        self.object = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.object is self.object

    def __hash__(self) -> int:
        return id(self.object)


def plain_key(value: Any) -> Any:
    """Return a plain value as a part of a key: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    return type(value), value if value else repr(value)


def _key(value: Any) -> Any:
    return plain_key(value) if isinstance(value, PLAIN_TYPES) else Identity(value)


# What surrounded a function when a program of it ran last: structure, modes, cells, items.
GuardSnapshot = tuple[Identity, tuple[bool, np.dtype, int], list[Any], list[Any]]


def _modes() -> tuple[bool, np.dtype, int]:
    return is_grad_enabled(), get_default_dtype(), get_num_threads()


class GuardContext:
    """The modules, optimizers and variables that a function uses, and their current state."""

    found: Reachable

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        # Equal structures are one object, as long as a program uses it.
        self.interned: WeakValueDictionary[Any, Identity] = WeakValueDictionary()
        self.version, self.structure = -1, Identity(None)
        self.parts: tuple[Any, ...] = ()  # of the structure, without modes
        self.modes: list[tuple[Any, bool]] = []  # of all modules
        self.arguments: dict[int, tuple[int, Any]] = {}  # structures of modules among arguments
        self.named: frozenset[int] = frozenset()  # ids of the tensors that the function reaches
        self.scanned: list[Any] | None = None  # the variables at the last scan

    def scan(self) -> None:
        """Find what the function reaches, before its first call and when a variable changed.

        Not when the function is decorated: its module may not be complete then.
        """
        if self.scanned is not None:
            pairs = zip(self.found.values(), self.scanned, strict=True)
            if all(value is old for value, old in pairs):
                return
        self.found = Reachable(self.function)
        self.scanned, self.version = self.found.values(), -1

    def refresh(self, force: bool = False) -> None:
        """Update the structure if `structure_version` has changed; call it before all checks.

        ``force``: update it in any case, as an optimizer's new state changes no version.
        """
        if structure_version() == self.version and not force:
            return
        if force:
            self.arguments.clear()
        self.version = structure_version()
        found = self.found
        modules = [_module_structure(module) for _, module in found.modules]
        optimizers = [_optimizer_structure(each) for _, each in found.optimizers]
        hooks = [(each.hooks and _attribute(each.hooks)) or () for _, each in found.tensors]
        self.parts = (*modules, *optimizers, *hooks)
        self.modes = [(m, m.training) for _, module in found.modules for m in module.modules()]
        self.structure = self.structure_in(self.modes)
        self.named = frozenset(self.names())

    def structure_in(self, modes: list[tuple[Any, bool]]) -> Identity:
        """Return the structure of modules and optimizers if the modules had these modes."""
        return self._intern((self.parts, tuple(training for _, training in modes)))

    def _intern(self, structure: Any) -> Identity:
        return self.interned.setdefault(structure, Identity(structure))

    # --- checks ---

    def snapshot(self, structure: Identity) -> GuardSnapshot:
        """Return what `unchanged` compares: the current values, and this structure."""
        cells = [(cell, cell_contents(cell)) for _, cell in self.found.cells]
        items = [(holder, key, holder.get(key)) for _, holder, key in self.found.items]
        return structure, _modes(), cells, items

    def unchanged(self, snapshot: GuardSnapshot) -> bool:
        """Return whether nothing changed since the snapshot. Fast; False when in doubt."""
        structure, (grad, dtype, threads), cells, items = snapshot
        if (
            structure is not self.structure
            or grad is not is_grad_enabled()
            or dtype is not get_default_dtype()
            or threads != get_num_threads()
        ):
            return False
        try:
            for cell, old in cells:
                if cell.cell_contents is not old:
                    return False
        except ValueError:  # deleted
            return False
        for holder, key, old in items:  # noqa: SIM110 - a generator takes twice the time
            if holder.get(key) is not old:
                return False
        return True

    def is_watched(self, watch: Watch) -> bool:
        """Return whether `unchanged` compares a variable that was found during a capture."""
        holder = getattr(watch.read, "__self__", None) or watch.argument
        return any(holder is cell for _, cell in self.found.cells) or any(
            holder is other and watch.argument == key for _, other, key in self.found.items
        )

    def key(self, structure: Identity) -> tuple[Any, ...]:
        """Return a key of all that is watched: equal while nothing changed."""
        return (structure, *_modes(), *map(_key, self.found.values()))

    def argument_key(self, value: Any) -> Any:
        """Return a key of an argument that is not a tensor, array, plain value or container."""
        if is_module(value) or is_optimizer(value):
            version, structure = self.arguments.get(id(value), (-1, None))
            if version != structure_version():
                version, structure = structure_version(), self._intern(_structure(value))
                self.arguments[id(value)] = version, structure
            return structure
        attributes = getattr(value, "__dict__", None)  # of a method's `self`, say
        if attributes is None or isinstance(value, (type, types.FunctionType, types.ModuleType)):
            return Identity(value)
        return Identity(value), *(
            self.argument_key(each) if is_module(each) or is_optimizer(each) else _key(each)
            for each in attributes.values()
        )

    # --- for callers ---

    def python_values(self) -> dict[str, Any]:
        """Return, by name, what a step must not change itself, as a program would not change it."""
        self.scan()
        watched = {n: value for n, value in self.found.watched() if isinstance(value, PLAIN_TYPES)}
        return watched | {
            name or "the model": _structure(module) for name, module in self.found.modules
        }

    def names(self) -> dict[int, str]:
        """Return the names of tensors, by their id."""
        found = self.found
        own = {id(value): name for name, value in found.tensors}
        return names_of(found.modules, found.optimizers) | own

    def leaves(self) -> list[Any]:
        """Return the tensors whose gradients the function may read or set."""
        found = [v for _, module in self.found.modules for v in module.parameters()]
        for _, optimizer in self.found.optimizers:
            found += [p for group in optimizer.param_groups for p in group["params"]]
        variables = (*self.found.values(), *[value for _, value in self.found.tensors])
        found += [value for value in variables if isinstance(value, Value)]
        return list({id(v): v for v in found if v.layout.dtype.kind == "f"}.values())


def _structure(value: Any) -> Any:
    """Return what of a module or an optimizer changes what it computes."""
    if is_optimizer(value):
        return _optimizer_structure(value)
    return _module_structure(value), tuple(each.training for each in value.modules())


def _module_structure(module: Any) -> tuple[Any, ...]:
    """Return all of a module that changes what it computes, except modes."""

    def members(each: Any) -> Any:
        return ((key, _attribute(v)) for key, v in vars(each).items() if key != "training")

    return tuple((Identity(each), type(each), *members(each)) for _, each in module.named_modules())


def _optimizer_structure(optimizer: Any) -> tuple[Any, ...]:
    """Return the parameters of an optimizer by group, and the tensors of their state."""
    return Identity(optimizer), tuple(
        (
            tuple((_attribute(p), *map(Identity, optimizer.state.get(p, {}).values())) for p in ps),
            tuple((k, _attribute(v)) for k, v in group.plain.items() if v is not ps),
        )
        for group in optimizer.param_groups
        for ps in (group["params"],)
    )


def _attribute(value: Any) -> Any:
    """Return an attribute of a module as a part of a key."""
    if isinstance(value, Value):  # `module.double()` moves a parameter to other memory
        return Identity(value), Identity(value.storage), value.layout, _attribute(value.hooks or ())
    if isinstance(value, dict):
        return tuple((key, _attribute(each)) for key, each in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(map(_attribute, value))
    return _key(value)
