"""What makes a network's inputs and targets of what a file holds: learned once, kept, applied.

It is learned from the training rows alone. Whoever saves the network saves this beside it, as JSON
(which is text, so it fits the metadata of a safetensors file), and prepares with it the rows that
the network is to say something about.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ..._common.array import Array
from ..._common.validation import check_names
from ..dataset import Dataset
from .columns import Categorical, Column, Fill, Numeric, are_labels, holds_numbers, learn
from .csv_reader import Table, is_missing
from .scaling import Standardizer

Task = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False)
class Preparation:
    """From a table, or an array of rows, to ``x``; from its target to ``y``; and back.

    Attributes:
        inputs: the columns of a table; or for arrays, how each feature is scaled.
        target: the column that is to be predicted: of names for classification, of numbers for
            regression.

    >>> table = Table("rents.csv", ("rooms", "city", "rent"), [
    ...     ["2", "Bern", "1500.5"], ["4", "Basel", "1900.5"]], lines=[2, 3])
    >>> preparation = Preparation.of_table(table, target="rent")
    >>> preparation.x(table).tolist(), preparation.y(table).tolist()
    ([[-1.0, 0.0, 1.0], [1.0, 1.0, 0.0]], [-1.0, 1.0])
    >>> preparation.feature_names
    ('rooms', 'city=Basel', 'city=Bern')
    >>> again = Preparation.from_json(preparation.to_json())
    >>> again.values(np.array([0.0])).tolist()
    [1700.5]
    """

    inputs: tuple[Column, ...] | Standardizer
    target: Column

    @classmethod
    def of_table(
        cls,
        table: Table,
        target: str | Column,
        *,
        fill: Fill | None = None,
        categorical: Collection[str] = (),
        ignore: Collection[str] = (),
    ) -> Preparation:
        """Learn from the rows of ``table``, which must be the training rows.

        Args:
            table: the rows to learn from.
            target: the column to predict, or its name; all others are inputs.
            fill: what stands in for missing values, "mean" or "median" of the column (the most
                frequent name in a column of names); None refuses them.
            categorical: columns of names, though they look like numbers.
            ignore: columns that are no inputs.

        Raises:
            ValueError: a column is not there, no input is left, or a column cannot be learned.
        """
        if isinstance(target, str):
            target = target_of(table, target)
        aside = {table.checked(name) for name in (target.name, *check_names("ignore", ignore))}
        named = {table.checked(name) for name in check_names("categorical", categorical)}
        names = [name for name in table.names if name not in aside]
        if not names:
            raise ValueError(
                f"{table.path} has no column to learn from beside the target {target.name!r}"
            )
        columns = tuple(learn(table, name, fill, name in named) for name in names)
        return cls(columns, target)

    @classmethod
    def of_pixels(cls, columns: int, most: float, classes: Sequence[str]) -> Preparation:
        """For pictures of so many pixels, from 0 to ``most``, to be put into ``classes``."""
        return cls(Standardizer.dividing(most, columns), Categorical("y", tuple(classes)))

    @property
    def features(self) -> int:
        """How many features a row has: the columns of ``x``."""
        if isinstance(self.inputs, Standardizer):
            return len(self.inputs.mean)
        return sum(column.width for column in self.inputs)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is: the column, and for names which one of them."""
        if isinstance(self.inputs, Standardizer):
            return tuple(f"x[{place}]" for place in range(self.features))
        return tuple(
            f"{column.name}={name}" if name else column.name
            for column in self.inputs
            for name in (column.classes or ("",))
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that a table must have; none where arrays were learned from."""
        if isinstance(self.inputs, Standardizer):
            return ()
        return tuple(column.name for column in self.inputs)

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label; empty for regression."""
        return self.target.classes

    @property
    def outputs(self) -> int:
        """How many outputs the network needs: one for each class, or one for a value."""
        return len(self.classes) or 1

    def x(self, rows: Table | Array) -> Array:
        """Float32 (N, features): what the network sees of ``rows``.

        A table may have its columns in any order, and may have others. Where arrays were learned
        from, its columns but the target are the features, in order. An array is (N, ...).

        Raises:
            TypeError: they are an array where a table was learned from.
            ValueError: a column is missing; or a cell is, or is no number, or a name that the
                training rows did not have. The message names the line and the column.
        """
        if isinstance(rows, Table):
            return np.concatenate([c.features(rows) for c in self._columns(rows)], axis=1)
        if isinstance(self.inputs, Standardizer):
            dtype = np.promote_types(rows.dtype, np.float32)  # bytes, and halves, are too narrow
            wide = rows.reshape(len(rows), -1).astype(dtype, copy=False)
            return self.inputs(wide).astype(np.float32, copy=False)
        raise TypeError(
            "rows are an array, where this network learned from columns: "
            + ", ".join(self.column_names)
        )

    def _columns(self, table: Table) -> Sequence[Column]:
        """The columns of ``table`` that are inputs."""
        if not isinstance(self.inputs, Standardizer):
            return self.inputs
        names = [name for name in table.names if name != self.target.name]
        if len(names) != self.features:
            raise ValueError(
                f"{table.path} has {len(names)} columns beside the target {self.target.name!r}, "
                f"where this network takes {self.features} features"
            )
        scaling = zip(self.inputs.mean.tolist(), self.inputs.scale.tolist(), strict=True)
        return [Numeric(name, *each) for name, each in zip(names, scaling, strict=True)]

    def y(self, table: Table) -> Array:
        """The target of the rows: int64 labels (N,), or float32 values (N,), standardised.

        Raises:
            ValueError: the column is missing; or a cell is, or is nothing that it can be.
        """
        refuse_missing_target(table, self.target.name)
        return self.target.targets(table)

    def values(self, outputs: Array) -> Array:
        """Float64: the values that ``outputs`` of a network say, in the units of the file.

        Raises:
            TypeError: it predicts classes.
        """
        if isinstance(self.target, Categorical):
            raise TypeError(f"the target {self.target.name!r} is of classes, and has no values")
        return self.target.values(outputs)

    def dataset(self, name: str, table: Table, held_out: Dataset | None = None) -> Dataset:
        """The rows of ``table``, prepared."""
        x, y = self.x(table), self.y(table)
        return Dataset(
            name, x, y, self.classes, source=table.path, held_out=held_out, preparation=self
        )

    def to_json(self) -> str:
        """All of it as text, from which :meth:`from_json` makes the same again, to the bit."""
        if isinstance(self.inputs, Standardizer):
            scaling = self.inputs
            inputs: Any = {"mean": scaling.mean.tolist(), "scale": scaling.scale.tolist()}
        else:
            inputs = [asdict(column) for column in self.inputs]
        return json.dumps({"inputs": inputs, "target": asdict(self.target)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Preparation:
        """What :meth:`to_json` wrote.

        Raises:
            ValueError: it is not that.
        """
        try:
            parts = json.loads(text)
            inputs, target = parts["inputs"], _column(parts["target"])
            if isinstance(inputs, list):
                return cls(tuple(_column(part) for part in inputs), target)
            scaling = Standardizer(*(np.array(inputs[k], np.float64) for k in ("mean", "scale")))
            return cls(scaling, target)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is no preparation: {error!r} in {text[:60]!r}") from None


def target_of(table: Table, name: str, task: Task | None = None) -> Column:
    """The column ``name`` as a target: of names or of numbers, as ``task`` or its values say.

    Raises:
        ValueError: ``task`` is none, a value is missing or not what the task needs, or there is
            one class only.
    """
    if task not in ("classification", "regression", None):
        raise ValueError(f"task must be 'classification' or 'regression', got {task!r}")
    refuse_missing_target(table, name)
    labels = task == "classification"
    if task is None:
        labels = not holds_numbers(table, name) or are_labels(table.column(name))
    target = Categorical.of(table, name) if labels else Numeric.of(table, name)
    if len(target.classes) == 1:
        raise ValueError(
            f"{table.path}, column {name!r}: each row says {target.classes[0]!r}, and telling one "
            "class apart from nothing cannot be learned"
        )
    return target


def labels_to_divide(table: Table, target: Column) -> Array | None:
    """The labels of the rows, for parts that each have all classes; None for regression.

    Raises:
        ValueError: a class has one row only; the message says where.
    """
    if not target.classes:
        return None
    labels = target.targets(table)
    counts = np.bincount(labels)
    row = int(counts[labels].argmin())
    if counts[labels[row]] == 1:
        raise ValueError(
            f"{table.place(row, target.name)}: class {target.classes[labels[row]]!r} has this row "
            "only, which cannot be in both parts; leave it out, or write test=None"
        )
    return labels


def refuse_missing_target(table: Table, name: str) -> None:
    """Raise ValueError, which says where, if a row does not say its target."""
    for row, cell in enumerate(table.column(name)):
        if is_missing(cell):
            raise ValueError(
                f"{table.place(row, name)}: the target is missing; "
                "leave the row out, or write missing='drop'"
            )


def _column(part: dict[str, Any]) -> Column:
    if "classes" in part:
        return Categorical(**part | {"classes": tuple(part["classes"])})
    return Numeric(**part)
