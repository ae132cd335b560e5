"""Parameter groups: parameters that share hyperparameters, and where those numbers are kept."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import modes, tape
from ..autograd.tape import Value
from ..autograd.values import as_array, constant, from_array
from ..kernels.runtime.layout import FLOAT64
from ..ops.elementwise.arithmetic import copy_

PAIRS = {
    "betas": ("beta1", "beta2")
}  # hyperparameters that are two numbers, and what each is called


@dataclass(frozen=True)
class Range:
    """The finite numbers that a hyperparameter may be."""

    least: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def __contains__(self, number: float) -> bool:
        return math.isfinite(number) and self.least <= number <= self.most and number < self.below

    def __str__(self) -> str:
        if self.most < math.inf:
            return f"from {self.least:g} to {self.most:g}"
        if self.below < math.inf:
            return f"at least {self.least:g} and below {self.below:g}"
        return "finite" if self.least == -math.inf else f"{self.least:g} or more"


FINITE = Range()
NONNEGATIVE = Range(least=0)
FRACTION = Range(least=0, most=1)
DECAY = Range(least=0, below=1)


def checked(owner: str, key: str, value: Any, allowed: Range) -> tuple[float, ...]:
    """The number or numbers that ``key`` is to be; TypeError or ValueError if it cannot."""
    names: tuple[str, ...] = (key,)
    if key in PAIRS:
        names = tuple(f"{key}[{k}]" for k in range(len(PAIRS[key])))
        if not isinstance(value, (tuple, list)) or len(value) != len(names):
            raise TypeError(f"{owner}: {key} must be {len(names)} numbers, got {value!r}")
    numbers = []
    for name, each in zip(names, value if key in PAIRS else (value,), strict=True):
        number = as_array(each) if isinstance(each, Value) else np.asarray(each)
        if number.dtype.kind not in "iuf" or number.size != 1:
            raise TypeError(f"{owner}: {name} must be a number, got {each!r}")
        if number.item() not in allowed:
            raise ValueError(f"{owner}: {name} must be {allowed}, got {number.item():g}")
        numbers.append(float(number.item()))
    return tuple(numbers)


class ParamGroup(MutableMapping[str, Any]):
    """One group, as a mapping: ``group["lr"]`` is a float, ``group["params"]`` a list of tensors.

    Each number lives in a 0-d float64 tensor, its cell, which the update kernels read when they
    run: ``group["lr"] = 0.01`` writes the cell by an op, so that it is recorded, and so that a
    compiled step sees it. ``betas`` are two cells, ``beta1`` and ``beta2``. Flags and what a
    scheduler or a user adds are kept as they are.

    Setting a number to what it cannot be raises TypeError or ValueError and changes nothing.
    """

    choice: Any = None  # which update the group takes: the optimizer's, until a number changes

    def __init__(self, owner: str, values: Mapping[str, Any], ranges: Mapping[str, Range]):
        self.owner, self.ranges = owner, ranges
        self.plain = {key: value for key, value in values.items() if key not in ranges}
        self.cells: dict[str, Any] = {
            name: from_array(np.array(number, FLOAT64))
            for key, allowed in ranges.items()
            for name, number in zip(
                PAIRS.get(key, (key,)), checked(owner, key, values[key], allowed), strict=True
            )
        }

    def __getitem__(self, key: str) -> Any:
        if key not in self.ranges:
            return self.plain[key]
        if (record := modes.recording()) is not None:  # a number that went into Python
            record.add_guard(functools.partial(self._numbers, key))
        return self._numbers(key)

    def _numbers(self, key: str) -> Any:
        if key in PAIRS:
            return tuple(as_array(self.cells[name]).item() for name in PAIRS[key])
        return as_array(self.cells[key]).item()

    def __setitem__(self, key: str, value: Any) -> None:
        self.choice = None
        if key not in self.ranges:
            self.plain[key] = value
            return
        if (record := modes.recording()) is not None:
            record.graph_break(
                f'{self.owner}: {key} is set to a number inside the step (group["{key}"] = ..., or '
                "a scheduler's step()), which would be that number for ever",
                "set it between the calls: a compiled step reads it at each",
            )
        numbers = checked(self.owner, key, value, self.ranges[key])
        for name, number in zip(PAIRS.get(key, (key,)), numbers, strict=True):
            tape.apply(copy_, (self.cells[name], constant(number, FLOAT64)))

    def __getstate__(self) -> dict[str, Any]:
        """What copies and files keep: an update is an op, and stays here."""
        return {key: value for key, value in vars(self).items() if key != "choice"}

    def __delitem__(self, key: str) -> None:
        if key in self.ranges:
            raise KeyError(f"{self.owner}: {key} is a hyperparameter; set it, it cannot be deleted")
        self.choice = None
        del self.plain[key]

    def __iter__(self) -> Iterator[str]:
        yield from self.plain
        yield from self.ranges

    def __len__(self) -> int:
        return len(self.plain) + len(self.ranges)

    def __repr__(self) -> str:
        return repr(dict(self))
