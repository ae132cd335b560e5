"""Parameter groups: parameters with common hyperparameters, and the tensors that hold the numbers.

An optimizer declares each hyperparameter once, in the signature of its constructor: the name, the
default, and the range as part of the type, as in ``lr: NonNegative = 1e-3``. `ranges_of` reads the
ranges, `defaults_of` the values.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import numpy as np

from .._common.change_counter import WatchedList, count_change
from ..autograd import modes, tape
from ..autograd.tape import Value
from ..autograd.values import as_array, constant, from_array
from ..kernels.runtime.layout import FLOAT64
from ..ops.elementwise.arithmetic import copy_

PAIRS = {"betas": ("beta1", "beta2")}  # hyperparameters of two numbers, and the name of each


@dataclass(frozen=True)
class Range:
    """The finite numbers that a hyperparameter may be."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, number: float) -> bool:
        inside = self.least <= number <= self.most and self.above < number < self.below
        return inside and math.isfinite(number)

    def __str__(self) -> str:
        bounds = {"at least": self.least, "above": self.above}
        bounds |= {"at most": self.most, "below": self.below}
        finite = [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
        return " and ".join(finite) or "finite"


Finite = Annotated[float, Range()]
NonNegative = Annotated[float, Range(least=0)]
Fraction = Annotated[float, Range(least=0, most=1)]
Decays = Annotated[tuple[float, float], Range(least=0, below=1)]


def ranges_of(constructor: Callable[..., Any]) -> dict[str, Range]:
    """Return the ranges in the types of a constructor's arguments, by name.

    >>> from tinygrad_mlp import optim
    >>> {name: str(allowed) for name, allowed in ranges_of(optim.SGD.__init__).items()}["lr"]
    'at least 0'
    """
    hints = get_type_hints(constructor, include_extras=True).items()
    return {name: hint.__metadata__[0] for name, hint in hints if hasattr(hint, "__metadata__")}


def defaults_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters among the ``locals()`` of an optimizer's constructor."""
    others = ("self", "params", "__class__")
    return {name: value for name, value in arguments.items() if name not in others}


def number_of(owner: str, name: str, value: Any, allowed: Range) -> float:
    """Return a number as a float; TypeError for anything else, ValueError if it is out of range."""
    array = as_array(value) if isinstance(value, Value) else np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size != 1:
        raise TypeError(f"{owner}: `{name}` must be a number, got {value!r}")
    if array.item() not in allowed:
        raise ValueError(f"{owner}: `{name}` must be {allowed}, got {array.item():g}")
    return float(array.item())


def numbers_of(owner: str, key: str, value: Any, allowed: Range) -> tuple[float, ...]:
    """Return the one or two numbers of a hyperparameter; errors as in `number_of`."""
    if key not in PAIRS:
        return (number_of(owner, key, value, allowed),)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{owner}: `{key}` must be 2 numbers, got {value!r}")
    return tuple(number_of(owner, f"{key}[{k}]", value[k], allowed) for k in range(2))


class ParamGroup(MutableMapping[str, Any]):
    """A mapping: ``group["lr"]`` is a float, ``group["params"]`` a list of tensors.

    Each number is in a 0-d float64 tensor, its cell, which the update kernels read when they run.
    ``group["lr"] = 0.01`` writes the cell by an op, so that it is recorded, and a compiled step
    reads the new number. ``betas`` are two cells, ``beta1`` and ``beta2``. Flags, and what a
    scheduler or a user adds, are plain values.

    Setting a number out of range raises TypeError or ValueError and changes nothing.
    """

    chosen: Any = None  # the update of the group and its flags, until a value is set

    def __init__(self, owner: str, values: Mapping[str, Any], ranges: Mapping[str, Range]):
        self.owner, self.ranges = owner, ranges
        self.plain = {key: value for key, value in values.items() if key not in ranges}
        self.plain["params"] = WatchedList(self.plain.get("params", ()))
        self.cells: dict[str, Any] = {}
        for key, allowed in ranges.items():
            numbers = numbers_of(owner, key, values[key], allowed)
            for name, number in zip(PAIRS.get(key, (key,)), numbers, strict=True):
                self.cells[name] = from_array(np.array(number, FLOAT64))

    def __getitem__(self, key: str) -> Any:
        if key not in self.ranges:
            return self.plain[key]
        if (record := modes.recording()) is not None:  # Python code may depend on the number
            record.add_guard(functools.partial(self._read, key))
        return self._read(key)

    def _read(self, key: str) -> Any:
        numbers = tuple(as_array(self.cells[name]).item() for name in PAIRS.get(key, (key,)))
        return numbers if key in PAIRS else numbers[0]

    def __setitem__(self, key: str, value: Any) -> None:
        self.chosen = None
        if key not in self.ranges:
            self.plain[key] = WatchedList(value) if key == "params" else value
            count_change()
            return
        if (record := modes.recording()) is not None:
            record.graph_break(
                f'{self.owner}: {key} is set to a number inside the step (group["{key}"] = ..., or '
                "a scheduler's step()), which the program would repeat as it is now",
                "set it between the calls: a compiled step reads it at each",
            )
        numbers = numbers_of(self.owner, key, value, self.ranges[key])
        for name, number in zip(PAIRS.get(key, (key,)), numbers, strict=True):
            tape.apply(copy_, (self.cells[name], constant(number, FLOAT64)))

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold: all but the chosen update, which is an op."""
        return {key: value for key, value in vars(self).items() if key != "chosen"}

    def __delitem__(self, key: str) -> None:
        if key in self.ranges:
            raise KeyError(f"{self.owner}: {key} is a hyperparameter; set it, it cannot be deleted")
        self.chosen = None
        del self.plain[key]
        count_change()

    def __iter__(self) -> Iterator[str]:
        return iter((*self.plain, *self.ranges))

    def __len__(self) -> int:
        return len(self.plain) + len(self.ranges)

    def __repr__(self) -> str:
        return repr(dict(self))
