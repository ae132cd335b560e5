"""Check integers and names among arguments; all errors have the same wording."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Collection, Iterable
from itertools import islice

MAX_LISTED = 40  # names in an error message
MAX_COMPARED = 10_000  # names among which the closest is searched
MAX_SHOWN = 60  # characters of a cell or name


INT64_MAX = (1 << 63) - 1


def check_int(
    name: str, value: object, *, minimum: int, example: int, maximum: int | None = None
) -> int:
    """Return ``value`` as an int from ``minimum`` to ``maximum``; an error suggests ``example``.

    Raises:
        TypeError: ``value`` is not an integer (a NumPy integer is one, 2.0 and True are not).
        ValueError: ``value`` is below ``minimum`` or above ``maximum``.

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
    if maximum is not None and number > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {number}; write {name}={example}")
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
    close = difflib.get_close_matches(str(name)[:MAX_SHOWN], islice(known, MAX_COMPARED), n=1)
    suggestion = f"; did you mean {short_repr(close[0])}?" if close else ""
    named = f"no {what} is called {short_repr(name)}"
    raise ValueError(f"{named}; the names are: {list_names(known)}{suggestion}")


def list_names(names: Collection[str], most: int = MAX_LISTED) -> str:
    """Return the first names, separated by commas, for an error message.

    >>> list_names(["a", "b", "c"], 2)
    'a, b and 1 others'
    """
    listed = ", ".join(short_repr(name)[1:-1] for name in islice(names, most))
    return listed + (f" and {len(names) - most:,} others" if len(names) > most else "")


def short_repr(value: object, most: int = MAX_SHOWN) -> str:
    """Return the repr of a value from a file, cut to ``most`` characters if it is long.

    >>> short_repr("abc"), short_repr("abc", 2)
    ("'abc'", "'ab...'")
    """
    if isinstance(value, str) and len(value) > most:
        value = f"{value[:most]}..."
    return repr(value)
