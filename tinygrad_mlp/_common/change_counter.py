"""What a compiled step watches of Python: one number that moves whenever any module changes.

An attribute, a hook, a mode, a parameter put in another's place: each calls `changed`. As long as
the number stands still, nobody needs to look at a module.
"""

from __future__ import annotations

from typing import Any

_structure = 0


def structure_version() -> int:
    """How often modules have changed so far."""
    return _structure


def changed() -> None:
    """Say that a module is not what it was."""
    global _structure
    _structure += 1


def _watched(method: Any) -> Any:
    def change(self: Any, *args: Any, **kwargs: Any) -> Any:
        changed()
        return method(self, *args, **kwargs)

    change.__name__, change.__doc__ = method.__name__, method.__doc__
    return change


class Watched(dict[Any, Any]):
    """A dict of what a module registered. Every change moves `structure_version`."""

    __setitem__, __delitem__ = _watched(dict.__setitem__), _watched(dict.__delitem__)
    pop, popitem, clear = _watched(dict.pop), _watched(dict.popitem), _watched(dict.clear)
    update, setdefault = _watched(dict.update), _watched(dict.setdefault)
    __ior__ = _watched(dict.__ior__)
