"""Whole numbers and names among arguments: what is wrong is refused in one voice."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Collection, Iterable
from itertools import islice

SHOWN = 40  # names in an error


def whole(name: str, value: object, *, least: int, write: int) -> int:
    """``value`` as an int of at least ``least``; ``write`` is the example that the error shows.

    Raises:
        TypeError: ``value`` is not an integer (a NumPy integer is one, 2.0 and True are not).
        ValueError: ``value`` is below ``least``.

    >>> whole("epochs", 20, least=1, write=10)
    20
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}; write {name}={write}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}; write {name}={write}")
    return number


def several(name: str, values: object) -> list[str]:
    """``values`` as a list of names.

    Raises:
        TypeError: it is one name, which would be taken for its letters.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be several names, got {values!r}; write {name}=[{values!r}]")
    return list(values)


def one_of(what: str, name: object, known: Collection[str]) -> str:
    """``name``, which must be one of the ``known`` names of ``what``.

    Raises:
        ValueError: it is none of them; the message says which there are, and which is close.

    >>> one_of("dataset", "spiral", ["digits", "spiral"])
    'spiral'
    """
    if isinstance(name, str) and name in known:
        return name
    close = difflib.get_close_matches(str(name), known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    some = list(islice(known, SHOWN))
    more = f" and {len(known) - SHOWN:,} others" if len(known) > SHOWN else ""
    raise ValueError(f"no {what} is called {name!r}, there are: {', '.join(some)}{more}{meant}")
