"""A watch: a place that holds a Python value, and how it is read and compared."""

from __future__ import annotations

import gc
import operator
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .origin import LIBRARY, PACKAGE, USER, origin_of_file
from .reachable import PLAIN_TYPES

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()

# Implicit uses of a class: an operator, a `with`, the call of a module.
IMPLICIT = frozenset(
    {"forward", "__getattr__", "__bool__", "__len__", "__index__", "__float__", "__int__"}
    | {"__enter__", "__exit__", "__get__", "__set__", "__iter__", "__next__", "__missing__"}
    | {name for each in (float, list, types.FunctionType) for name in vars(each)}
) - {"__doc__", "__dict__", "__module__", "__name__", "__qualname__", "__annotations__"}
UNUSED = {"__init__", "__repr__"}  # what a step does not call on objects that exist
_DICT: dict[Any, Any] = {}
VIEWS = types.MappingProxyType, *map(type, (_DICT.keys(), _DICT.values(), _DICT.items()))
_IMMUTABLE = (*PLAIN_TYPES, types.CodeType, np.ufunc, range, slice)


class Watch(NamedTuple):
    """A place that holds a Python value, and the value when it was first met.

    ``read(argument)`` returns the value now.
    """

    name: str
    read: Callable[[Any], Any]
    argument: Any
    old: Any
    guarded: bool = True  # False: changes to it are seen elsewhere, so a program does not check it
    in_hook: bool = False  # a container of a hook, which may grow

    def describe(self) -> str:
        """Return what is compared, in words."""
        old, holder = self.old, self.argument
        if isinstance(holder, np.ndarray):
            return f"{self.name}: the elements of an array {holder.shape}"
        if self.read in (of_dict, tuple, frozenset):
            return f"{self.name}: the {len(holder)} entries of a {type(holder).__name__}"
        if isinstance(old, PLAIN_TYPES) and not isinstance(old, bytes):
            return f"{self.name} = {old!r}"
        return f"{self.name}: which {type(old).__name__} it is"

    def fact(self) -> tuple[Callable[[Any], Any], Any, Any]:
        """Return a function, its argument, and what it returns until the place is changed."""
        if self.old is MISSING:
            return Watch.now, self, MISSING
        return self.read, self.argument, self.old

    def now(self) -> Any:
        """Return what the place holds now."""
        try:
            return self.read(self.argument)
        except (ValueError, AttributeError, KeyError):  # an unassigned variable
            return MISSING


def same(old: Any, new: Any) -> bool:
    """Return whether two values are one: plain values by value and type, others by identity."""
    if old is new:
        return True
    if type(old) is not type(new):
        return False
    if isinstance(old, tuple):
        equal = len(old) == len(new)
        return equal and (all(map(operator.is_, old, new)) or all(map(same, old, new)))
    if isinstance(old, (float, complex, np.generic)):  # nan; 0.0 and -0.0
        return repr(old) == repr(new)
    return isinstance(old, (*PLAIN_TYPES, frozenset)) and bool(old == new)


def state_of(generator: Any) -> str:
    """Return the state of a generator of NumPy's, as text."""
    if isinstance(generator, np.random.RandomState):
        generator = generator._bit_generator
    elif isinstance(generator, np.random.Generator):
        generator = generator.bit_generator
    with np.printoptions(threshold=sys.maxsize):
        return str(generator.state)


def is_of_user(module: types.ModuleType) -> bool:
    """Return whether a module is the user's."""
    file = getattr(module, "__file__", None)
    built_in = file is None and module.__name__.split(".")[0] in sys.stdlib_module_names
    return not built_in and origin_of_file(file or "") == USER


def is_default(value: Any, key: str) -> bool:
    """Return whether a class gives a value for an attribute that its object lacks."""
    if isinstance(value, (type, types.ModuleType)):
        return False
    found = next((vars(each)[key] for each in type(value).__mro__ if key in vars(each)), MISSING)
    return isinstance(found, (*PLAIN_TYPES, tuple, list, dict, set))


def defined_in(found: type) -> str:
    """Return where a class comes from: `PACKAGE`, `LIBRARY` or `USER`."""
    module = found.__module__
    if not isinstance(module, str):  # a class made by Cython
        return LIBRARY
    if module.split(".")[0] == __name__.split(".")[0]:
        return PACKAGE
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return LIBRARY if module.split(".")[0] in sys.stdlib_module_names else USER
    return origin_of_file(file)


def is_immutable(value: Any) -> bool:
    """Return whether nothing of a value can change: not of a number with attributes."""
    if not isinstance(value, _IMMUTABLE):
        return False
    return not (isinstance(value, (int, float, complex, str, bytes)) and hasattr(value, "__dict__"))


def lacks_gradient(tensor: Any) -> bool:
    """Return whether the gradient of a tensor is None."""
    return tensor.grad is None


def is_only_read(file: Any) -> bool:
    """Return whether a file is open for reading alone."""
    return not file.closed and file.readable() and not file.writable()


def has_buffer(value: Any) -> bool:
    """Return whether an object is memory: a bytearray, an `array.array`, a number of ctypes."""
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def of_buffer(value: Any) -> bytes:
    """Return the bytes of an object that is memory."""
    return bytes(memoryview(value))


def of_array(array: np.ndarray) -> tuple[Any, ...]:
    """Return the shape, the dtype and the elements of an array."""
    return array.shape, array.dtype, array.tobytes()


def of_objects(array: np.ndarray) -> tuple[Any, ...]:
    """Return the elements of an array of objects."""
    return tuple(array.ravel().tolist())


def of_cache(function: Any) -> tuple[Any, ...]:
    """Return the keys and the entries in the cache of a function with `functools.lru_cache`."""
    found = [each for each in gc.get_referents(function) if type(each) is dict]
    return tuple(
        entry for each in found if each is not function.__dict__ for entry in of_dict(each)
    )


def in_words(key: Any) -> str:
    """Return the key of an entry for a message."""
    return repr(key) if isinstance(key, PLAIN_TYPES) else "..."


def keys_of(value: dict[Any, Any]) -> tuple[Any, ...]:
    """Return the keys of a dict, in order."""
    return tuple(value)


def of_dict(value: dict[Any, Any]) -> tuple[Any, ...]:
    """Return the keys and the values of a dict, in order."""
    return (*dict.keys(value), *dict.values(value))


code_of = operator.attrgetter("__code__")
defaults_of = operator.attrgetter("__defaults__")
bases_of = operator.attrgetter("__mro__")
attributes_of = operator.attrgetter("__dict__")
cell_value = operator.attrgetter("cell_contents")


def dereference(reference: Any) -> Any:
    """Return the object of a weak reference."""
    return reference()


def keyword_defaults_of(function: types.FunctionType) -> tuple[Any, ...] | None:
    """Return the names and the values of the defaults of keywords."""
    found = function.__kwdefaults__
    return of_dict(found) if found else None


OF_FUNCTIONS: dict[Callable[[Any], Any], str] = {
    code_of: "code",
    defaults_of: "defaults",
    keyword_defaults_of: "kwdefaults",
}
