"""Watches: the Python values that a function may read, found while it is captured.

The search starts at what exists before the call: the function's variables and arguments, and the
global variables of each function of the user's that runs. From an object it continues in the
attributes that the code names, in containers, closures, classes and modules. So a value counts as
read if an object that holds it can be reached, and code that ran names it; an object that the step
makes itself is not reached.

A value is noted when it is first met, before the code that could change it runs.
"""

from __future__ import annotations

import functools
import gc
import io
import operator
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..autograd.tape import Value
from .origin import PACKAGE, USER, origin
from .reachable import PLAIN_TYPES, is_module, is_optimizer
from .watch import (
    IMPLICIT,
    MISSING,
    OF_FUNCTIONS,
    UNUSED,
    VIEWS,
    Watch,
    attributes_of,
    bases_of,
    cell_value,
    defined_in,
    dereference,
    has_buffer,
    in_words,
    is_default,
    is_immutable,
    is_of_user,
    is_only_read,
    keys_of,
    lacks_gradient,
    of_array,
    of_buffer,
    of_cache,
    of_dict,
    of_objects,
    state_of,
)

# Attributes that this package changes, or guards otherwise (``guards.py``).
_SKIPPED: dict[str, set[str]] = {
    "module": {"training", "_parameters", "_buffers", "_modules", "_hooks"},
    "optimizer": {"param_groups", "defaults"},
    "tensor": {*Value.__annotations__},
}
_SLOT = types.WrapperDescriptorType  # of a method written in C
_METHODS = (property, classmethod, staticmethod, functools.cached_property)
_GENERATORS = (np.random.Generator, np.random.RandomState, np.random.BitGenerator)


class Watches:
    """All that a step has reached so far."""

    def __init__(self) -> None:
        self.found: dict[Any, Watch] = {}  # by place
        # Names that the code uses and an object or a class lacks: name, attributes, these names.
        self.absent: dict[int, tuple[str, Any, set[str]]] = {}
        self.guessed: set[str] = set()  # names that code looks for which may not be there
        self.visited: dict[int, Any] = {}
        self.titles: dict[int, str] = {}  # names of the visited objects
        self.gradients: list[Watch] = []  # whether the tensors lacked one
        self.functions: set[int] = set()  # ids of the codes of visited functions
        self.iterators: list[tuple[str, Any]] = []  # made before the step
        self.generators: list[tuple[str, Any, str]] = []  # NumPy's, with their state
        self.names: set[str] = set()  # in the code that ran
        self.texts: set[str] = set()  # names that are looked up by text: getattr(o, "rate", 1)
        self.by_any_name = False  # whether code reads attributes by names that it computes
        self._open: list[tuple[str, Any, str]] = []  # objects whose attributes are named in code
        self._queue: deque[tuple[str, Any, str]] = deque()

    def add_names(
        self,
        names: set[str],
        texts: Iterable[str] = (),
        any_name: bool = False,
        guessed: Iterable[str] = (),
    ) -> None:
        """Note names in code that is about to run, and visit the attributes of these names."""
        new = names - self.names | (set(texts) - self.texts) | (set(guessed) - self.guessed)
        self.guessed |= set(guessed)
        self.names |= new
        self.texts |= set(texts)
        if any_name and not self.by_any_name:
            self.by_any_name, new = True, self.names
        for name, value, how in list(self._open) if new else ():
            self._attributes(name, value, how, new)
        self._search()

    def visit(self, name: str, value: Any, how: str = "") -> None:
        """Visit a value that exists before the code that runs now; ``how``: "argument" or ""."""
        self._queue.append((name, value, how))
        self._search()

    def lacks(self, name: str, attributes: Any, keys: Iterable[str], place: int) -> None:
        """Watch that names do not appear among attributes, where they would hide others."""
        missing = {key for key in keys if key not in attributes}
        if missing:
            self.absent.setdefault(place, (name, attributes, set()))[2].update(missing)

    def appeared(self) -> Iterator[tuple[str, Any]]:
        """Yield the names that the step itself added, and their values; watch the other ones."""
        for key, (name, attributes, missing) in self.absent.items():
            added = [each for each in missing if each in attributes]
            yield from ((f"{name}.{each}" if name else each, attributes[each]) for each in added)
            rest = frozenset(missing.difference(added))
            if rest:
                watch = Watch(
                    f"names that {name or 'the module'} lacks",
                    attributes.keys().isdisjoint,
                    rest,
                    True,
                )
                self.found[key, "absent"] = watch

    def watch(self, name: str, read: Callable[[Any], Any], argument: Any, key: Any) -> None:
        """Watch a place, and visit what it holds."""
        self._watch(name, read, argument, key, "")
        self._search()

    def visit_all_of(self, value: Any) -> None:
        """Watch all attributes of a visited object: code of a library runs on it."""
        if id(value) in self.visited and not isinstance(value, type):
            name = self.titles.get(id(value), "an object")
            self._attributes(name, value, "", getattr(value, "__dict__", {}))
            self._search()

    def existed(self, array: np.ndarray) -> bool:
        """Return whether an array, or one that it is a view of, existed before the step."""
        base: Any = array
        while base is not None:
            if id(base) in self.visited:
                return True
            base = getattr(base, "base", None)
        return False

    def forget_elements(self, array: np.ndarray) -> None:
        """Do not watch the elements of an array that a tensor shares: a program reads them."""
        base: Any = array
        while base is not None:
            self.found.pop((id(base), "contents"), None)
            base = getattr(base, "base", None)

    # --- the search ---

    def _search(self) -> None:
        while self._queue:
            name, value, how = self._queue.popleft()
            if id(value) in self.visited or is_immutable(value):
                continue
            self.visited[id(value)], self.titles[id(value)] = value, name
            if isinstance(value, Value):
                self._open.append((name, value, "tensor"))
                absent = Watch(f"{name}.grad is None", lacks_gradient, value, value.grad is None)
                self.gradients.append(absent)
                self._attributes(name, value, "tensor", self.names)
            else:
                self._visit(name, value, how)

    def _push(self, name: str, value: Any, how: str) -> None:
        self._queue.append((name, value, how))

    def _watch(self, name: str, read: Any, argument: Any, key: Any, how: str) -> None:
        if key not in self.found and name != "__class__":
            watch = Watch(name, read, argument, None, how != "module", how == "hook")
            old = watch.now()
            if isinstance(old, types.ModuleType) and not is_of_user(old):
                return
            self.found[key] = watch._replace(old=old)
            self._push(name, old, "hook" if how == "hook" else "")

    def _contents(self, name: str, value: Any, read: Callable[[Any], Any], how: str) -> None:
        if how != "owned":
            key = id(value), "contents"
            if key not in self.found:
                # The signature has the entries of such arguments.
                guarded = how != "argument" or not isinstance(value, (list, dict, np.ndarray))
                self.found[key] = Watch(name, read, value, read(value), guarded, how == "hook")

    def _visit(self, name: str, value: Any, how: str) -> None:
        if isinstance(value, types.ModuleType):
            if is_of_user(value):
                self._object(name, value, how)
        elif isinstance(value, types.FunctionType):
            self._function(name, value, how)
        elif isinstance(value, types.MethodType):
            own = defined_in(type(value.__self__)) == PACKAGE
            owner = name if isinstance(value.__self__, _GENERATORS) else "self"
            self._push(owner, value.__self__, "owned" if own else how)
            self._push(name, value.__func__, how)
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            if not isinstance(value.__self__, (type, types.ModuleType)):  # `kept.append`
                self._push(name, value.__self__, how)
        elif isinstance(value, functools.partial):
            for part in ("func", "args", "keywords"):
                self._push(name, getattr(value, part), how)
        elif isinstance(value, type):
            self._class(name, value, how)
        elif is_module(value):
            for path, each in value.named_modules(prefix=name):
                self.visited[id(each)] = each
                self._object(path, each, "module")
                for hooks in vars(each).get("_hooks", {}).values():
                    self._push(path, hooks, "hook")
        elif not self._container(name, value, how):
            self._other(name, value, how)

    def _container(self, name: str, value: Any, how: str) -> bool:
        """Visit a container and return True, or return False."""
        if isinstance(value, dict):
            if defined_in(type(value)) != PACKAGE:
                self._contents(name, value, of_dict, how)
            entries: Iterable[tuple[Any, Any]] = [*value.items()]
            if any(not is_immutable(key) for key in value):
                entries = [*entries, *enumerate(value)]
        elif isinstance(value, (list, tuple, deque)):
            if not isinstance(value, tuple):
                self._contents(name, value, tuple, how)
            entries = enumerate(value)
        elif isinstance(value, (set, frozenset)):
            if not isinstance(value, frozenset):
                self._contents(name, value, frozenset, how)
            entries = enumerate(value)
        elif isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                self._contents(name, value, of_objects, how)
                self._push(name, value.tolist(), "owned")
            else:
                self._contents(name, value, of_array, how)
            return True
        else:
            return False
        if how == "argument" and not isinstance(value, (list, tuple, dict)):
            how = ""  # the signature has not what these hold
        for key, each in entries:
            if not is_immutable(each):
                self._push(f"{name}[{in_words(key)}]", each, how)
        if type(value).__module__ != "builtins":
            self._object(name, value, how)
        return True

    def _other(self, name: str, value: Any, how: str) -> None:
        if isinstance(value, _GENERATORS):
            self.generators.append((name, value, state_of(value)))
        elif isinstance(value, weakref.ref):
            self._watch(f"{name}()", dereference, value, (id(value), "referent"), how)
        elif isinstance(value, operator.attrgetter):
            paths: tuple[str, ...] = value.__reduce__()[1]  # type: ignore[assignment]
            self.add_names({name for path in paths for name in path.split(".")})
        elif isinstance(value, functools._lru_cache_wrapper):
            if str(value.__module__).partition(".")[0] == __name__.partition(".")[0]:
                return  # a cache of this package, such as that of an op's plans
            self._watch(f"the cache of {name}", of_cache, value, (id(value), "cache"), how)
            self._push(name, value.__wrapped__, how)
        elif isinstance(value, ContextVar):
            get = value.get
            self._watch(f"{name}.get()", get, MISSING, (id(value), "value"), how)
        elif isinstance(value, io.IOBase):
            if isinstance(value, (io.StringIO, io.BytesIO)):
                self._contents(name, value, type(value).getvalue, how)
            elif how != "owned" and is_only_read(value):
                self.iterators.append((name, value))
        elif isinstance(getattr(type(value), "__next__", self._push), _SLOT):
            if how != "owned":
                self.iterators.append((name, value))
        elif has_buffer(value):
            self._contents(name, value, of_buffer, how)
        elif isinstance(value, VIEWS):
            for each in gc.get_referents(value):
                self._push(name, each, how)
        elif is_optimizer(value):
            self._object(name, value, "optimizer")
        else:
            own = defined_in(type(value)) == PACKAGE
            if not own or how != "owned":
                self._object(name, value, "" if how == "owned" else how)
            inside = dict(getattr(value, "__dict__", {})) if own else {}
            if "specializations" in inside:  # a compiled function
                inside = {"function": value.function}
            elif own and how != "owned":  # its methods read all of it, as a scheduler's do
                self._attributes(name, value, "", inside)
            for key, each in inside.items():
                self._push(f"{name}.{key}", each, "owned")  # perhaps the user's: a loss, a callback

    # --- functions, classes, objects ---

    def _function(self, name: str, function: types.FunctionType, how: str) -> None:
        self.functions.add(id(function.__code__))
        if origin(function.__code__, function.__globals__) == PACKAGE and not function.__closure__:
            return
        how = "" if how == "owned" else how
        for read, what in OF_FUNCTIONS.items():
            if (old := read(function)) is not None:
                watch = Watch(f"{name}.__{what}__", read, function, old)
                self.found[id(function), what] = watch
        for key, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self._watch(key, cell_value, cell, (id(cell), None), how)
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        for value in defaults:
            self._push(f"a default of {name}", value, how)
        if wrapped := function.__dict__.get("__wrapped__"):
            self._push(name, wrapped, how)
        self._object(name, function, how)

    def _class(self, name: str, found: type, how: str) -> None:
        if any(
            each.__name__ == "Function" and defined_in(each) == PACKAGE for each in found.__mro__
        ):
            return  # of the user's: it runs at each call
        for each in found.__mro__:
            if defined_in(each) == USER and (each is found or id(each) not in self.visited):
                self.visited[id(each)] = each
                self._object(each.__name__, each, how)
                self._methods(each)
                for value in vars(each).values():
                    inside = ("fget", "__func__", "func") if isinstance(value, _METHODS) else ()
                    for part in (value, *(getattr(value, name, None) for name in inside)):
                        if isinstance(part, types.FunctionType):
                            self._push(f"{each.__name__}.{part.__name__}", part, how)

    def _methods(self, found: type) -> None:
        """Watch the bases of a class and all its methods, which operators and libraries call."""
        self._push(type(found).__name__, type(found), "")
        name, attributes = found.__name__, vars(found)
        self.found[id(found), "bases"] = Watch(f"{name}.__mro__", bases_of, found, found.__mro__)
        methods = (types.FunctionType, *_METHODS)
        keys = [k for k, v in attributes.items() if isinstance(v, methods) and k not in UNUSED]
        if keys:
            read = operator.itemgetter(*keys)
            watch = Watch(f"the methods of {name}", read, attributes, read(attributes))
            self.found[id(found), "methods"] = watch

    def _object(self, name: str, value: Any, how: str) -> None:
        """Visit the attributes of an object that are named in the code, now and later."""
        self._open.append((name, value, how))
        self._attributes(name, value, how, self.names)
        if not isinstance(value, (type, types.ModuleType)):
            self._push(type(value).__name__, type(value), "")

    def _attributes(self, name: str, value: Any, how: str, names: Iterable[str]) -> None:
        attributes = getattr(value, "__dict__", None)
        special = isinstance(value, (type, types.ModuleType, types.FunctionType))
        if attributes is not None:
            if how == "" and not special:  # the dict, or the class, may be replaced as a whole
                whole = Watch(f"{name}.__dict__", attributes_of, value, attributes)
                self.found.setdefault((id(value), "dict"), whole)
            if self.by_any_name and how == "" and (not special or isinstance(value, type)):
                if not special:
                    self._contents(f"{name}.__dict__", attributes, keys_of, how)
                names = {*names, *(key for key in attributes if not key.startswith("__"))}
            if self.by_any_name and isinstance(value, types.ModuleType):
                names = {*names, *(k for k, v in attributes.items() if isinstance(v, PLAIN_TYPES))}
            self._named(name, value, how, {*names}, attributes)
        if special:
            return
        if how not in _SKIPPED and defined_in(type(value)) == USER:
            self.found[id(value), "class"] = Watch(f"{name}.__class__", type, value, type(value))
        for each in type(value).__mro__:
            for key, slot in vars(each).items() if each.__module__ != "builtins" else ():
                named = key in names or self.by_any_name
                if named and isinstance(slot, types.MemberDescriptorType):
                    self._watch(f"{name}.{key}", slot.__get__, value, (id(value), key), how)

    def _named(self, name: str, value: Any, how: str, names: set[str], attributes: Any) -> None:
        """Watch the attributes of these names, and where one is missing that it stays so."""
        skipped = _SKIPPED.get(how, ())
        place = id(value) if isinstance(value, type) else id(attributes)
        lacking = how in ("", "optimizer") or isinstance(value, type)
        grouped = (types.FunctionType, *_METHODS) if isinstance(value, type) else ()
        for key in names.difference(skipped):
            if key in attributes:
                if not isinstance(attributes[key], grouped):
                    self._watch(f"{name}.{key}", attributes.get, key, (place, key), how)
            elif not lacking and is_default(value, key):
                self._watch(f"{name}.{key}", attributes.get, key, (place, key), how)
        if isinstance(value, type):
            names = {*IMPLICIT, *names}
        elif isinstance(value, types.ModuleType):
            names = self.guessed.intersection(names)
        if lacking and not isinstance(value, types.FunctionType):
            self.lacks(name, attributes, names, place)
