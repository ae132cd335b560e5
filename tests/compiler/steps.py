"""Short steps that use Python state, each run eager and compiled while the state changes.

A case makes a step and what changes between two calls of it. Where the state is read, the compiled
step must give the numbers of the eager one; where it cannot, it must run in Python with a warning,
or refuse, with the line.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import tinygrad_mlp as tg

CALLS = 7
COMPILED, IN_PYTHON, REFUSED = "compiled", "in Python", "refused"

Step = Callable[..., Any]
Made = tuple[Step, Callable[[int], object]]


class Case(NamedTuple):
    """How a step is made, what must become of it, and whether a change must capture it again."""

    make: Callable[[], Made]
    outcome: str


CASES: dict[str, dict[str, Case]] = {}


def case(outcome: str) -> Callable[[Callable[[], Made]], Callable[[], Made]]:
    """Add a case to those of its module, by the name of the function that makes it."""

    def add(make: Callable[[], Made]) -> Callable[[], Made]:
        CASES.setdefault(make.__module__, {})[make.__name__] = Case(make, outcome)
        return make

    return add


def nothing(k: int) -> None:
    """Change nothing between two calls."""


def arguments(k: int) -> tuple[tg.Tensor, ...]:
    return (tg.tensor([1.0 + k, 2.0, 3.0]),)


def run(make: Callable[[], Made], compiled: bool) -> tuple[list[Any], Any]:
    """Return the results of the calls, and the function that was called."""
    step, between = make()
    function = tg.compile(step) if compiled else step
    results = []
    for k in range(CALLS):
        between(k)
        value = function(*arguments(k))
        results.append(value.tolist() if isinstance(value, tg.Tensor) else value)
    return results, function


def check(found: Case) -> None:
    """Run a case eager and compiled, and compare."""
    wanted, _ = run(found.make, False)
    line = f"{found.make.__code__.co_filename}:"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if found.outcome == REFUSED:
            with pytest.raises(tg.CaptureError, match=re.escape(line)):
                run(found.make, True)
            return
        results, function = run(found.make, True)
    assert results == wanted
    messages = [str(each.message) for each in caught]
    if found.outcome == IN_PYTHON:
        assert len(messages) == 1
        assert " changes " in messages[0]
        assert line in messages[0]
        assert function.captures == 0
    else:
        assert found.outcome == COMPILED
        assert messages == []
        assert 1 <= function.captures < CALLS


class Config:
    """An object with a class attribute, a property, and methods."""

    shared = 1.0

    def __init__(self, rate: float = 1.0) -> None:
        self.rate, self.inner, self.hidden = rate, None, {"n": 1.0}

    @property
    def double(self) -> float:
        return self.rate * 2

    def scaled(self, x: Any) -> Any:
        return self._scaled(x)

    def _scaled(self, x: Any) -> Any:
        return x * self.rate

    def __getitem__(self, key: str) -> float:
        return self.hidden[key]

    def __getattr__(self, key: str) -> float:
        return self.__dict__["hidden"][key.removeprefix("dynamic_")]


def halfway(k: int) -> float:
    """A number that changes once, after some calls."""
    return 1.0 if k < 3 else 2.0


def on(holder: Any, name: str) -> Any:
    return lambda k: setattr(holder, name, halfway(k))
