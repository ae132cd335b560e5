"""Turn all columns of a table, or an array, into the inputs and targets of a network.

A preprocessor is fitted to the training rows alone. It is saved with the network, as JSON (which
also fits the metadata of a safetensors file), and applied to the rows that the network predicts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..._common.array import Array
from ..._common.validation import check_names, short_repr
from ..dataset import Dataset
from ..split import split_rows
from .columns import Categorical, Column, Fill, Numeric, Standardizer, fit_column, fit_target
from .csv_reader import Table


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """The map from a table or an array of rows to ``x``, and from its target to ``y`` and back.

    Attributes:
        inputs: the input columns of a table; for arrays, the scaling of each feature.
        target: the column to predict: categorical for classification, numeric for regression.

    >>> table = Table("rents.csv", ("rooms", "city", "rent"), [
    ...     ["2", "Bern", "1500.5"], ["4", "Basel", "1900.5"]], lines=[2, 3])
    >>> preprocessor = Preprocessor.fit(table, target="rent")
    >>> preprocessor.x(table).tolist(), preprocessor.y(table).tolist()
    ([[-1.0, 0.0, 1.0], [1.0, 1.0, 0.0]], [-1.0, 1.0])
    >>> preprocessor.feature_names
    ('rooms', 'city=Basel', 'city=Bern')
    >>> again = Preprocessor.from_json(preprocessor.to_json())
    >>> again.inverse_transform(np.array([0.0])).tolist()
    [1700.5]
    """

    inputs: tuple[Column, ...] | Standardizer
    target: Column

    @classmethod
    def fit(
        cls,
        table: Table,
        target: str | Column,
        *,
        fill: Fill | None = None,
        categorical: Collection[str] = (),
        ignore: Collection[str] = (),
    ) -> Preprocessor:
        """Fit all columns to the rows of ``table``, which must be the training rows.

        Args:
            table: the training rows.
            target: the column to predict, or its name; all others are inputs.
            fill: replacement for missing values: "mean" or "median" of the column (in a
                categorical column the most frequent category); None refuses missing values.
            categorical: numeric columns to treat as categories.
            ignore: columns to exclude.

        Raises:
            ValueError: a column does not exist or cannot be fitted, or no input column is left.
        """
        if isinstance(target, str):
            target = fit_target(table, target)
        excluded = {table.check_name(n) for n in (target.name, *check_names("ignore", ignore))}
        categories = {table.check_name(n) for n in check_names("categorical", categorical)}
        names = [name for name in table.names if name not in excluded]
        if not names:
            raise ValueError(f"{table.path} has no input column besides the target {target.name!r}")
        return cls(tuple(fit_column(table, n, fill, n in categories) for n in names), target)

    @classmethod
    def for_images(cls, pixels: int, maximum: float, classes: Sequence[str]) -> Preprocessor:
        """Return one that divides ``pixels`` values per row by ``maximum``, for ``classes``."""
        return cls(Standardizer.divide_by(maximum, pixels), Categorical("y", tuple(classes)))

    @property
    def num_features(self) -> int:
        """Number of features per row: the columns of ``x``."""
        if isinstance(self.inputs, Standardizer):
            return len(self.inputs.mean)
        return sum(column.width for column in self.inputs)

    @property
    def num_outputs(self) -> int:
        """Number of outputs that the network needs: one per class, or one for regression."""
        return len(self.classes) or 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each feature: the column, and for a category ``column=category``."""
        if isinstance(self.inputs, Standardizer):
            return tuple(f"x[{index}]" for index in range(self.num_features))
        return tuple(
            f"{column.name}={name}" if name else column.name
            for column in self.inputs
            for name in (column.classes or ("",))
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Input columns that a table must have; empty if the training rows were an array."""
        if isinstance(self.inputs, Standardizer):
            return ()
        return tuple(column.name for column in self.inputs)

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each label; empty for regression."""
        return self.target.classes

    def x(self, rows: Table | Array) -> Array:
        """Return the inputs of the network for these rows: float32 (N, num_features).

        A table may have its columns in any order, and additional ones. If the training rows were
        an array, the columns of a table except the target are the features, in order. An array is
        (N, ...); each row is flattened.

        Raises:
            TypeError: ``rows`` is an array, but the training rows were a table.
            ValueError: a column or a value is missing, a cell is not a number, a category does not
                occur in the training rows, or a standardised value overflows float32; the message
                gives line and column.
        """
        if isinstance(rows, Table):
            return np.concatenate([c.features(rows) for c in self._columns_for(rows)], axis=1)
        if isinstance(self.inputs, Standardizer):
            dtype = np.promote_types(rows.dtype, np.float32)  # uint8 and float16 are too narrow
            flat = rows.reshape(len(rows), -1).astype(dtype, copy=False)
            with np.errstate(over="ignore", invalid="ignore"):
                x = self.inputs(flat).astype(np.float32, copy=False)
            if not np.isfinite(x).all():
                row, column = (int(index) for index in np.argwhere(~np.isfinite(x))[0])
                value = f"{flat[row, column]} in row {row}, feature {column}"
                raise ValueError(f"{value}: too far from the training rows for float32")
            return x
        columns = ", ".join(self.column_names)
        raise TypeError(f"expected a table with the columns {columns}, got an array of rows")

    def _columns_for(self, table: Table) -> Sequence[Column]:
        """Return the input columns of ``table``; for array features, by position."""
        if not isinstance(self.inputs, Standardizer):
            return self.inputs
        names = [name for name in table.names if name != self.target.name]
        if len(names) != self.num_features:
            raise ValueError(
                f"{table.path} has {len(names)} columns besides the target {self.target.name!r}, "
                f"but the network takes {self.num_features} features"
            )
        scaling = zip(names, self.inputs.mean.tolist(), self.inputs.scale.tolist(), strict=True)
        return [Numeric(*each) for each in scaling]

    def y(self, table: Table) -> Array:
        """Return the targets of the rows: int64 labels (N,), or float32 (N,), standardised.

        Raises:
            ValueError: the target column is missing, or a cell in it is missing or invalid.
        """
        return self.target.targets(table)

    def inverse_transform(self, outputs: Array) -> Array:
        """Return predictions of a regression in the units of the file: float64, same shape.

        Raises:
            TypeError: the target is categorical.
        """
        if isinstance(self.target, Categorical):
            raise TypeError(f"the target {self.target.name!r} is categorical: it has no units")
        return self.target.inverse_transform(outputs)

    def dataset(self, name: str, table: Table, held_out: Dataset | None = None) -> Dataset:
        """Return the rows of ``table`` as a dataset with this preprocessor."""
        x, y = self.x(table), self.y(table)
        return Dataset(
            name, x, y, self.classes, source=table.path, held_out=held_out, preprocessor=self
        )

    def to_json(self) -> str:
        """Return a text from which :meth:`from_json` restores the preprocessor exactly."""
        if isinstance(self.inputs, Standardizer):
            scaling = self.inputs
            inputs: Any = {"mean": scaling.mean.tolist(), "scale": scaling.scale.tolist()}
        else:
            inputs = [asdict(column) for column in self.inputs]
        return json.dumps({"inputs": inputs, "target": asdict(self.target)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Preprocessor:
        """Restore a preprocessor from the text that :meth:`to_json` returned.

        Raises:
            ValueError: ``text`` is something else.
        """
        try:
            parts = json.loads(text)
            inputs, target = parts["inputs"], _column_from(parts["target"])
            if isinstance(inputs, list):
                return cls(tuple(map(_column_from, inputs)), target)
            mean, scale = (
                np.array([_finite(v) for v in inputs[k]], np.float64) for k in ("mean", "scale")
            )
            if mean.shape != scale.shape or not scale.all():
                raise ValueError("mean and scale differ in length, or a scale is 0")
            return cls(Standardizer(mean, scale), target)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"invalid preprocessor: {error!r} in {short_repr(text)}") from None


def split_table(table: Table, target: Column, test: float | None, seed: int) -> tuple[Array, Array]:
    """Return the indices of training and test rows, stratified; without ``test`` no test rows.

    Raises:
        ValueError: ``test`` is invalid, or a class has only one row; the message gives its line.
    """
    if test is None:
        return np.arange(len(table)), np.arange(0)
    labels = target.targets(table) if target.classes else None
    if labels is not None:
        counts = np.bincount(labels)
        row = int(counts[labels].argmin())
        if counts[labels[row]] == 1:
            hint = "which cannot be in both parts; delete it, or add more rows of this class"
            message = f"class {short_repr(target.classes[labels[row]])} has only this row, {hint}"
            raise table.error(row, target.name, message)
    try:
        return split_rows(len(table), test, seed=seed, labels=labels)
    except ValueError as error:
        raise ValueError(f"{table.path}: {error}") from None


def _column_from(part: dict[str, Any]) -> Column:
    """Restore a column; a value of another type than `asdict` wrote is an error."""
    name, fill, classes = part["name"], part["fill"], part.get("classes", [])
    for text in (name, *classes):
        if not isinstance(text, str):
            raise TypeError(f"expected text, got {text!r}")
    if "classes" not in part:
        if part["scale"] == 0:
            raise ValueError(f"column {name!r} has the scale 0")
        filled = None if fill is None else _finite(fill)
        return Numeric(name, _finite(part["mean"]), _finite(part["scale"]), filled)
    if isinstance(classes, str) or len(set(classes)) < len(classes):
        raise ValueError(f"the classes of {name!r} are not a list of different names")
    if fill is not None and fill not in classes:
        raise ValueError(f"{fill!r} fills the column {name!r}, but is none of its classes")
    return Categorical(name, tuple(classes), fill)


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value!r}")
    return value
