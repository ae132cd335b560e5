"""What is learned of one column of a table, and makes numbers of its cells.

A column of inputs gives features (N, width); the same column as a target gives y (N,).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..._common.array import Array
from .csv_reader import Table, is_missing, number, numbers
from .scaling import Standardizer

Fill = Literal["mean", "median"]


@dataclass(frozen=True)
class Numeric:
    """A column of numbers, standardised: ``(value - mean) / scale``.

    Attributes:
        name: of the column.
        mean: of the values it learned from.
        scale: their standard deviation (over N), and 1 if they are all the same.
        fill: what stands in for a missing value; None refuses one.

    >>> Numeric("age", mean=40.0, scale=10.0).values(np.array([1.0, 0.0]))
    array([50., 40.])
    """

    name: str
    mean: float
    scale: float
    fill: float | None = None

    @classmethod
    def of(cls, table: Table, name: str, fill: Fill | None = None) -> Numeric:
        """Learn from the rows of ``table``: at least one of them has a value."""
        cells = _numbers(table, name)
        values = cells[~np.isnan(cells)]
        if len(values) == 0:
            raise ValueError(f"{table.path}: column {name!r} has no values in the training rows")
        filled = None if fill is None else float(getattr(np, fill)(values))
        learned = Standardizer.of(values[:, None])
        return cls(name, float(learned.mean[0]), float(learned.scale[0]), filled)

    @property
    def width(self) -> int:
        """How many features the column becomes."""
        return 1

    @property
    def classes(self) -> tuple[str, ...]:
        """As a target, a column of numbers has none."""
        return ()

    def features(self, table: Table) -> Array:
        """Float32 (N, 1), standardised."""
        return self.targets(table)[:, None]

    def targets(self, table: Table) -> Array:
        """Float32 (N,), standardised."""
        cells = _numbers(table, self.name)
        missing = np.isnan(cells)
        if missing.any() and self.fill is None:
            raise _missing(table, int(missing.argmax()), self.name)
        known = np.where(missing, self.fill or 0.0, cells)
        with np.errstate(over="ignore"):
            seen: Array = ((known - self.mean) / self.scale).astype(np.float32)
        far = np.isinf(seen)
        if far.any():
            row = int(far.argmax())
            raise ValueError(
                f"{table.place(row, self.name)}: {known[row]} is too far from the training rows, "
                f"of mean {self.mean:g} and standard deviation {self.scale:g}, for float32"
            )
        return seen

    def values(self, standardised: Array) -> Array:
        """Float64: the values that were standardised, or that a network predicts as if they were.

        It takes any shape, and gives the same.
        """
        values: Array = np.asarray(standardised, np.float64) * self.scale + self.mean
        return values


@dataclass(frozen=True)
class Categorical:
    """A column of names: a feature for each, which is 1 where the cell says it, and 0 elsewhere.

    Attributes:
        name: of the column.
        classes: the names, in order; as a target, a label is the place in it.
        fill: what stands in for a missing value; None refuses one.
    """

    name: str
    classes: tuple[str, ...]
    fill: str | None = None

    @classmethod
    def of(cls, table: Table, name: str, fill: Fill | None = None) -> Categorical:
        """Learn from the rows of ``table``: what is filled in is the most frequent name."""
        told = Counter(table.column(name))
        counts = {cell: count for cell, count in told.items() if not is_missing(cell)}
        if not counts:
            raise ValueError(f"{table.path}: column {name!r} has no values in the training rows")
        classes = in_order(counts)
        return cls(name, classes, None if fill is None else max(classes, key=counts.__getitem__))

    @property
    def width(self) -> int:
        """How many features the column becomes."""
        return len(self.classes)

    def features(self, table: Table) -> Array:
        """Float32 (N, width), one-hot."""
        return one_hot(self.targets(table), self.width)

    def targets(self, table: Table) -> Array:
        """Int64 (N,), indices into ``classes``."""
        labels = {name: label for label, name in enumerate(self.classes)}
        found = np.empty(len(table), np.int64)
        for row, cell in enumerate(table.column(self.name)):
            known = self.fill if is_missing(cell) else cell
            if known is None:
                raise _missing(table, row, self.name)
            if known not in labels:
                raise ValueError(f"{table.place(row, self.name)}: {self.unseen(known)}")
            found[row] = labels[known]
        return found

    def unseen(self, name: str) -> str:
        """Why ``name`` is refused."""
        shown = ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
        return f"{name!r} was not among the training rows, which had: {shown}"


Column = Numeric | Categorical


def one_hot(labels: Array, classes: int) -> Array:
    """Float32 (N, classes): 1 in the column that the label names, 0 in the others.

    Raises:
        TypeError: labels are no integers.
        ValueError: a label is not from 0 to ``classes - 1``.

    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu":
        raise TypeError(f"labels must be integers, got dtype {labels.dtype}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"labels must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
        )
    rows = np.zeros((len(labels), classes), np.float32)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names sorted: as numbers if all are, else as text.

    >>> in_order(["10", "9", "2"]), in_order(["10", "9", "b"])
    (('2', '9', '10'), ('10', '9', 'b'))
    """
    value = {name: number(name) for name in names}
    if None in value.values():
        return tuple(sorted(value))
    return tuple(sorted(value, key=lambda name: (value[name], name)))


def learn(table: Table, name: str, fill: Fill | None = None, categorical: bool = False) -> Column:
    """The column ``name`` as the rows of ``table`` show it: numeric, if its values are numbers.

    Raises:
        ValueError: there is no such column or no value in it, or most of its values are numbers and
            some are not; the message says where.
    """
    if categorical or not holds_numbers(table, name):
        return Categorical.of(table, name, fill)
    return Numeric.of(table, name, fill)


def holds_numbers(table: Table, name: str) -> bool:
    """Whether the column ``name`` is one of numbers, by :func:`are_numbers`.

    Raises:
        ValueError: it would be, if commas in numbers meant anything; the message says where.
    """
    if _mostly(table.numbers(name)):
        return True
    cells = table.column(name)
    if any("," in cell for cell in cells) and are_numbers([c.replace(",", "") for c in cells]):
        row = next(row for row, cell in enumerate(cells) if "," in cell)
        raise ValueError(
            f"{table.place(row, name)}: {cells[row]!r} is no number, which has a decimal point and "
            f"no comma; rewrite it, or write categorical=[{name!r}] if all of them are names"
        )
    return False


def are_numbers(cells: Sequence[str]) -> bool:
    """Whether more than half of the values in ``cells`` are numbers; the rest are then mistakes.

    >>> are_numbers(["1.5", "", "2", "three"]), are_numbers(["A1", "B2", "7"])
    (True, False)
    """
    return _mostly(numbers(cells))


def _mostly(values: Array) -> bool:
    return int(np.isfinite(values).sum()) > int(np.isinf(values).sum())


def are_labels(cells: Sequence[str]) -> bool:
    """Whether values of a target are class labels rather than quantities.

    They are if they are no numbers, or if all are whole numbers (written without a point) of which
    there are at most 20 different ones, each met twice on average.

    >>> are_labels(["yes", "no"]), are_labels(["0", "1", "1", "0"]), are_labels(["0.5", "1.0"])
    (True, True, False)
    """
    whole = all(cell.lstrip("+-").isdecimal() for cell in cells)
    few = len(set(cells)) <= min(20, len(cells) // 2)
    return (whole and few) or not are_numbers(cells)


def _numbers(table: Table, name: str) -> Array:
    """Float64 (N,): the values of a column, nan where one is missing; else it is refused."""
    values = table.numbers(name)
    mistakes = np.isinf(values)
    if mistakes.any():
        row = int(mistakes.argmax())
        raise ValueError(
            f"{table.place(row, name)}: {table.column(name)[row]!r} is no finite number, in a "
            f"column of numbers; correct it, or write categorical=[{name!r}] if all of them are "
            "names"
        )
    return values


def _missing(table: Table, row: int, name: str) -> ValueError:
    return ValueError(
        f"{table.place(row, name)}: the value is missing, and nothing was learned to fill it in; "
        "train with missing='mean', missing='median' or missing='drop', or give it"
    )
