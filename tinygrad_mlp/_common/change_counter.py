"""Count changes to modules and optimizers, so that a compiled function can skip its checks.

The counter rises with every change to a module: an attribute, a hook, a training mode, a parameter
that replaces another. While it stays the same, a compiled function need not inspect any module.
"""

from __future__ import annotations

from typing import Any

_structure = 0


def structure_version() -> int:
    """Return how many changes have been counted so far."""
    return _structure


def count_change() -> None:
    """Count one change to a module or an optimizer."""
    global _structure
    _structure += 1


def _counted(method: Any) -> Any:
    def change(self: Any, *args: Any, **kwargs: Any) -> Any:
        count_change()
        return method(self, *args, **kwargs)

    change.__name__, change.__doc__ = method.__name__, method.__doc__
    return change


class Watched(dict[Any, Any]):
    """A dict whose every change raises :func:`structure_version`."""

    __setitem__, __delitem__ = _counted(dict.__setitem__), _counted(dict.__delitem__)
    pop, popitem, clear = _counted(dict.pop), _counted(dict.popitem), _counted(dict.clear)
    update, setdefault = _counted(dict.update), _counted(dict.setdefault)
    __ior__ = _counted(dict.__ior__)


class WatchedList(list[Any]):
    """A list whose every change raises :func:`structure_version`."""

    __setitem__, __delitem__ = _counted(list.__setitem__), _counted(list.__delitem__)
    append, extend, insert = map(_counted, (list.append, list.extend, list.insert))
    pop, remove, clear = map(_counted, (list.pop, list.remove, list.clear))
    sort, reverse = _counted(list.sort), _counted(list.reverse)
    __iadd__, __imul__ = _counted(list.__iadd__), _counted(list.__imul__)
