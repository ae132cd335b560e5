"""Check integers and names among arguments; all errors have the same wording."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Collection, Iterable
from itertools import islice

MAX_LISTED = 40  # names in an error message


def check_int(name: str, value: object, *, minimum: int, example: int) -> int:
    """Return ``value`` as an int of at least ``minimum``; an error suggests ``example``.

    Raises:
        TypeError: ``value`` is not an integer (a NumPy integer is one, 2.0 and True are not).
        ValueError: ``value`` is below ``minimum``.

    >>> check_int("epochs", 20, minimum=1, example=10)
    20
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        hint = f"write {name}={example}"
        raise TypeError(f"{name} must be an integer, got {value!r}; {hint}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}; write {name}={example}")
    return number


def check_names(name: str, values: object) -> list[str]:
    """Return ``values`` as a list of names.

    Raises:
        TypeError: ``values`` is a single string, which would be split into its letters.

    >>> check_names("ignore", ("id", "date"))
    ['id', 'date']
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        hint = f"write {name}=[{values!r}]"
        raise TypeError(f"{name} must be a list of names, got {values!r}; {hint}")
    return list(values)


def check_choice(what: str, name: object, known: Collection[str]) -> str:
    """Return ``name``, which must be one of the ``known`` names of ``what``.

    Raises:
        ValueError: ``name`` is unknown; the message lists the known names and suggests the closest.

    >>> check_choice("dataset", "spiral", ["digits", "spiral"])
    'spiral'
    """
    if isinstance(name, str) and name in known:
        return name
    close = difflib.get_close_matches(str(name), known, n=1)
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(islice(known, MAX_LISTED))
    more = f" and {len(known) - MAX_LISTED:,} others" if len(known) > MAX_LISTED else ""
    raise ValueError(f"no {what} is called {name!r}; the names are: {listed}{more}{suggestion}")
