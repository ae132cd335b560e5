"""Turn the cells of one column into numbers, with statistics of the training rows.

A numeric column is standardised, a column of categories becomes one-hot. As an input a column
gives features (N, width), as a target y (N,).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from ..._common.array import Array
from ..._common.validation import list_names, short_repr
from .csv_reader import Table, is_missing, number, numbers

Fill: TypeAlias = Literal["mean", "median"]
Task: TypeAlias = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False)
class Standardizer:
    """``(x - mean) / scale``, column by column: mean 0 and variance 1 over the training rows.

    Fit it to the training rows alone and apply it to all rows: statistics of the test rows would
    leak into training.

    Attributes:
        mean: float64 (F,).
        scale: float64 (F,), the standard deviation (over N, not N - 1); 1 for a constant column,
            whose values all become 0.

    >>> rows = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    >>> Standardizer.fit(rows)(rows).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, x: Array) -> Standardizer:
        """Compute mean and scale of the rows of ``x`` (N, F), an array or nested lists, N >= 1.

        Raises:
            ValueError: ``x`` has another shape, or a column is not finite or overflows float64.
        """
        x = np.asarray(x)
        if x.ndim != 2 or len(x) == 0:
            wanted = "x must be (rows, features) with at least one row"
            raise ValueError(f"Standardizer.fit: {wanted}, got shape {x.shape}")
        # Exact comparison: the computed deviation of a constant column may be above 0.
        constant = (x == x[0]).all(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.where(constant, x[0], x.mean(axis=0, dtype=np.float64))
            scale = x.std(axis=0, dtype=np.float64)
        if not np.isfinite(scale).all():
            column = int(np.isfinite(scale).argmin())
            raise ValueError(f"Standardizer.fit: column {column} is not finite, or overflows")
        # The scale is 0 if the squares underflow.
        return cls(mean, np.where(constant | (scale == 0), 1.0, scale))

    @classmethod
    def divide_by(cls, divisor: float, columns: int) -> Standardizer:
        """Return a standardizer that divides each of ``columns`` by a fixed number.

        >>> Standardizer.divide_by(16, columns=2)(np.array([[0, 8]]))
        array([[0. , 0.5]], dtype=float32)
        """
        return cls(np.zeros(columns), np.full(columns, float(divisor)))

    def __call__(self, x: Array) -> Array:
        """Standardise the rows of ``x`` (N, F). Floats keep their dtype, others become float32.

        Raises:
            ValueError: ``x`` has another number of columns.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            wanted = f"x must be (rows, {len(self.mean)}), as in the training rows"
            raise ValueError(f"Standardizer: {wanted}, got shape {x.shape}")
        dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.float32
        standardised: Array = ((x - self.mean) / self.scale).astype(dtype)
        return standardised


@dataclass(frozen=True)
class Numeric:
    """A column of numbers, standardised: ``(value - mean) / scale``.

    Attributes:
        name: name of the column.
        mean: mean of the training values.
        scale: their standard deviation (over N), and 1 if they are all the same.
        fill: replacement for a missing value; None refuses missing values.

    >>> Numeric("age", mean=40.0, scale=10.0).inverse_transform(np.array([1.0, 0.0]))
    array([50., 40.])
    """

    width: ClassVar[int] = 1  # number of features that the column becomes
    classes: ClassVar[tuple[str, ...]] = ()
    name: str
    mean: float
    scale: float
    fill: float | None = None

    @classmethod
    def fit(cls, table: Table, name: str, fill: Fill | None = None) -> Numeric:
        """Compute mean, scale and fill of the column ``name`` over the rows of ``table``.

        Raises:
            ValueError: a cell is not a number, all are missing, or they overflow float64.
        """
        cells = _finite_or_missing(table, name, f"write categorical=[{name!r}]")
        values = cells[~np.isnan(cells)]
        if len(values) == 0:
            raise _no_values(table, name)
        replacement = None if fill is None else float(getattr(np, fill)(values))
        try:
            fitted = Standardizer.fit(values[:, None])
        except ValueError:
            message = "the squares of its values overflow float64; write it in a larger unit"
            raise ValueError(f"{table.path}, column {short_repr(name)}: {message}") from None
        return cls(name, float(fitted.mean[0]), float(fitted.scale[0]), replacement)

    def features(self, table: Table) -> Array:
        """Return the column as inputs: float32 (N, 1), standardised."""
        return self.targets(table)[:, None]

    def targets(self, table: Table) -> Array:
        """Return the column as targets: float32 (N,), standardised.

        Raises:
            ValueError: a cell is not a number, or is missing without ``fill``, or its standardised
                value overflows float32; the message gives line and column.
        """
        cells = _finite_or_missing(table, self.name, f"train with categorical=[{self.name!r}]")
        missing = np.isnan(cells)
        if missing.any() and self.fill is None:
            raise _missing(table, int(missing.argmax()), self.name)
        values = np.where(missing, self.fill or 0.0, cells)
        with np.errstate(over="ignore"):
            standardised: Array = ((values - self.mean) / self.scale).astype(np.float32)
        overflow = np.isinf(standardised)
        if overflow.any():
            row = int(overflow.argmax())
            training = f"training rows (mean {self.mean:g}, standard deviation {self.scale:g})"
            message = f"{values[row]} is too far from the {training} for float32"
            raise table.error(row, self.name, message)
        return standardised

    def inverse_transform(self, standardised: Array) -> Array:
        """Return values or predictions of any shape in the units of the file: float64."""
        values: Array = np.asarray(standardised, np.float64) * self.scale + self.mean
        return values


@dataclass(frozen=True)
class Categorical:
    """A column of categories, one-hot: one feature per category, 1 in the rows that have it.

    Attributes:
        name: name of the column.
        classes: the categories, sorted; as a target, a label is the index into them.
        fill: replacement for a missing value; None refuses missing values.
    """

    name: str
    classes: tuple[str, ...]
    fill: str | None = None

    @classmethod
    def fit(cls, table: Table, name: str, fill: Fill | None = None) -> Categorical:
        """Collect the categories of the column ``name`` over the rows of ``table``.

        With either ``fill``, a missing value is replaced by the most frequent category.

        Raises:
            ValueError: all cells are missing.
        """
        counts = Counter(cell for cell in table.column(name) if not is_missing(cell))
        if not counts:
            raise _no_values(table, name)
        classes = sort_names(counts)
        return cls(name, classes, None if fill is None else max(classes, key=counts.__getitem__))

    @property
    def width(self) -> int:
        """Number of features that the column becomes."""
        return len(self.classes)

    def features(self, table: Table) -> Array:
        """Return the column as inputs: float32 (N, width), one-hot."""
        return one_hot(self.targets(table), self.width)

    def targets(self, table: Table) -> Array:
        """Return the column as targets: int64 (N,), indices into ``classes``.

        Raises:
            ValueError: a cell is not in ``classes``, or is missing without ``fill``; the message
                gives line and column.
        """
        label_of = {name: label for label, name in enumerate(self.classes)}
        labels = np.empty(len(table), np.int64)
        for row, cell in enumerate(table.column(self.name)):
            name = self.fill if is_missing(cell) else cell
            if name is None:
                raise _missing(table, row, self.name)
            if name not in label_of:
                known = list_names(self.classes, most=10)
                message = f"{short_repr(name)} does not occur in the training rows, which have"
                raise table.error(row, self.name, f"{message}: {known}")
            labels[row] = label_of[name]
        return labels


Column: TypeAlias = Numeric | Categorical


def one_hot(labels: Array, classes: int) -> Array:
    """Return float32 (N, classes): 1 in the column of each row's label, 0 elsewhere.

    Args:
        labels: integers (N,), from 0 to ``classes - 1``.
        classes: number of columns.

    Raises:
        TypeError: ``labels`` are not integers.
        ValueError: a label is not from 0 to ``classes - 1``.

    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu":
        raise TypeError(f"labels must be integers, got dtype {labels.dtype}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        found = f"got {labels.min()} to {labels.max()}"
        raise ValueError(f"labels must be from 0 to {classes - 1}, {found}")
    rows = np.zeros((len(labels), classes), np.float32)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def sort_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names sorted: by value if all are numbers, else as text.

    >>> sort_names(["10", "9", "2"]), sort_names(["10", "9", "b"])
    (('2', '9', '10'), ('10', '9', 'b'))
    """
    value = {name: number(name) for name in names}
    if None in value.values():
        return tuple(sorted(value))
    return tuple(sorted(value, key=lambda name: (value[name], name)))


def fit_column(
    table: Table, name: str, fill: Fill | None = None, categorical: bool = False
) -> Column:
    """Fit the column ``name``: categorical if asked for or if :func:`is_numeric` is False.

    Raises:
        ValueError: there is no such column, it has no values, or most but not all of its values
            are numbers; the message gives line and column.
    """
    numeric = not categorical and is_numeric(table, name)
    return (Numeric if numeric else Categorical).fit(table, name, fill)


def fit_target(table: Table, name: str, task: Task | None = None) -> Column:
    """Fit the target column ``name``: categorical or numeric, by ``task`` or by its values.

    Raises:
        ValueError: ``task`` is unknown, a value is missing or does not suit the task, or there is
            only one class.
    """
    if task not in ("classification", "regression", None):
        raise ValueError(f"task must be 'classification' or 'regression', got {task!r}")
    categorical = task == "classification"
    if task is None:
        categorical = not is_numeric(table, name) or are_labels(table.column(name))
    if not categorical:
        _finite_or_missing(table, name, "write task='classification'")
    drop = "complete it, or delete the row; in a CSV file missing='drop' does so"
    _check_complete(table, name, drop)
    target = (Categorical if categorical else Numeric).fit(table, name)
    if len(target.classes) == 1:
        raise ValueError(
            f"{table.path}, column {name!r}: each row has the class {target.classes[0]!r}; a "
            "classifier needs at least two classes"
        )
    return target


def is_numeric(table: Table, name: str) -> bool:
    """Return whether the column ``name`` is numeric, by :func:`are_numbers`.

    Raises:
        ValueError: its numbers are written with commas; the message gives line and column.
    """
    if _mostly_finite(table.numbers(name)):
        return True
    cells = table.column(name)
    if any("," in cell for cell in cells) and are_numbers([c.replace(",", "") for c in cells]):
        row = next(row for row, cell in enumerate(cells) if "," in cell)
        hint = f"a decimal point and no commas, or categorical=[{name!r}] for categories"
        raise table.error(row, name, f"{short_repr(cells[row])} is not a number: write {hint}")
    return False


def are_numbers(cells: Sequence[str]) -> bool:
    """Return whether more than half of the values are numbers; the others are then errors.

    >>> are_numbers(["1.5", "", "2", "three"]), are_numbers(["A1", "B2", "7"])
    (True, False)
    """
    return _mostly_finite(numbers(cells))


def are_labels(cells: Sequence[str]) -> bool:
    """Return whether the values of a target are class labels rather than quantities.

    They are labels if they are not numbers, or if all are whole numbers (written without a decimal
    point) with at most 20 different values that occur twice on average.

    >>> are_labels(["yes", "no"]), are_labels(["0", "1", "1", "0"]), are_labels(["0.5", "1.0"])
    (True, True, False)
    """
    integers = all(cell.lstrip("+-").isdecimal() for cell in cells)
    few = len(set(cells)) <= min(20, len(cells) // 2)
    return (integers and few) or not are_numbers(cells)


def _mostly_finite(values: Array) -> bool:
    return int(np.isfinite(values).sum()) > int(np.isinf(values).sum())


def _finite_or_missing(table: Table, name: str, for_categories: str) -> Array:
    """Return a column as float64 (N,), nan where a value is missing; refuse other text."""
    values = table.numbers(name)
    wrong = np.isinf(values)
    if wrong.any():
        row = int(wrong.argmax())
        cell = short_repr(table.column(name)[row])
        hint = f"correct it, or {for_categories} if the column holds categories"
        raise table.error(row, name, f"{cell} is not a finite number, in a numeric column; {hint}")
    return values


def check_input(table: Table, name: str, categorical: bool, missing_refused: bool) -> None:
    """Check all rows of an input before they are split, while a hint can name an option.

    Raises:
        ValueError: a value of a numeric column is not a number, or a value is missing although
            that is refused; the message gives line and column.
    """
    if not categorical:
        _finite_or_missing(table, name, f"write categorical=[{name!r}]")
    if missing_refused:
        fill = "missing='mean' or missing='median' to fill the inputs"
        _check_complete(table, name, f"write missing='drop' to drop such rows, or {fill}")


def _check_complete(table: Table, name: str, hint: str) -> None:
    row = next((row for row, cell in enumerate(table.column(name)) if is_missing(cell)), None)
    if row is not None:
        raise table.error(row, name, f"the value is missing; {hint}")


def _missing(table: Table, row: int, name: str) -> ValueError:
    trained = "missing inputs are filled if the network was trained with missing='mean'"
    hint = f"complete it, or delete the row; {trained}"
    return table.error(row, name, f"the value is missing; {hint}")


def _no_values(table: Table, name: str) -> ValueError:
    return ValueError(f"{table.path}: column {short_repr(name)} has no values in the training rows")
