"""Load a CSV file as a dataset: read it, split its rows, fit a preprocessor, apply it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from ..._common.validation import check_choice, check_names, short_repr
from ..dataset import Dataset
from .columns import Column, Fill, Numeric, Task, check_input, fit_target, is_numeric
from .csv_reader import Table, is_missing, read_csv
from .preprocessor import Preprocessor, split_table

Missing: TypeAlias = Literal["refuse", "mean", "median", "drop"]


def csv(
    path: str | os.PathLike[str],
    target: str | None = None,
    *,
    test: float | None = 0.2,
    seed: int = 0,
    missing: Missing = "refuse",
    task: Task | None = None,
    categorical: Collection[str] = (),
    ignore: Collection[str] = (),
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
) -> Dataset:
    r"""Load a CSV file; the dataset holds the training rows, its ``held_out`` the test rows.

    Numeric columns are standardised, categorical ones become one-hot, both fitted to the training
    rows alone: this is the ``preprocessor`` of the dataset. Both parts have the same proportion of
    each class. A row drawn for testing moves to the training rows if one of its categories occurs
    in no training row; a column that would move more than half of the test rows is refused.

    Args:
        path: the file; for its format, ``delimiter``, ``header`` and ``encoding`` see
            :func:`read_csv`.
        target: the column to predict; by default the last.
        test: the fraction of the rows to hold out, drawn by ``seed``; None holds out nothing.
        seed: seed of the draw.
        missing: what to do with missing values: "refuse" raises an error, "mean" and "median"
            fill in that of the column (in a categorical column the most frequent category),
            "drop" drops the row.
        task: "classification" or "regression"; by default classification if the target holds
            text or few whole numbers, by :func:`are_labels`.
        categorical: numeric columns to treat as categories, e.g. postal codes.
        ignore: columns to exclude, e.g. a row id.
        delimiter: separator of cells.
        header: whether the first line names the columns.
        encoding: encoding of the file.

    Returns:
        x float32 (N, F); y int64 (N,), or for regression float32 (N,), standardised.

    Raises:
        OSError: the file does not exist (FileNotFoundError), or cannot be read.
        TypeError: ``categorical`` or ``ignore`` is a string, or ``test`` not a number.
        ValueError: the file has an error, or an option does not fit it; the message gives line and
            column.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text("height,group\n" + "1.7,a\n1.8,b\n" * 10)
    ...     dataset = csv(path, target="group")
    >>> dataset, dataset.preprocessor.feature_names
    (Dataset('people', rows=16, features=1, classes=2, held_out=4), ('height',))
    """
    check_choice("value of missing", missing, ("refuse", "mean", "median", "drop"))
    categorical, ignore = check_names("categorical", categorical), check_names("ignore", ignore)
    expected = [*categorical, *ignore, *([] if target is None else [target])]
    table = read_csv(path, delimiter=delimiter, header=header, encoding=encoding, expected=expected)
    target = table.names[-1] if target is None else table.check_name(target)
    excluded = {table.check_name(name) for name in ignore}
    if target in excluded:
        raise ValueError(
            f"{path}: column {target!r} is the target, so it cannot be ignored; name another "
            "target, or leave it out of ignore"
        )
    if missing == "drop":
        rows = len(table)
        table = table.drop_missing([name for name in table.names if name not in excluded])
        if not len(table):
            raise ValueError(f"{path}: each of the {rows} rows has a missing value")
    declared = {table.check_name(name) for name in categorical}
    inputs = [name for name in table.names if name not in excluded | {target}]
    categories = [name for name in inputs if name in declared or not is_numeric(table, name)]
    as_categories = set(categories)
    for name in inputs:
        check_input(table, name, name in as_categories, missing == "refuse")
    if target in declared and task is None:
        task = "classification"
    column = fit_target(table, target, task)  # its classes are those of all rows
    train, held_out = _split(table, column, categories, test, seed)
    fill: Fill | None = missing if missing in ("mean", "median") else None
    if not column.classes:
        column = Numeric.fit(train, target)
    preprocessor = Preprocessor.fit(train, column, fill=fill, categorical=categories, ignore=ignore)
    name = Path(path).stem
    test_rows = None if test is None else preprocessor.dataset(name, held_out)
    return preprocessor.dataset(name, train, held_out=test_rows)


def _split(
    table: Table, target: Column, categories: Sequence[str], test: float | None, seed: int
) -> tuple[Table, Table]:
    """Return training and test rows; a category in one of the columns is never in test alone."""
    train, held_out = split_table(table, target, test, seed)
    unseen_row = np.zeros(len(table), bool)  # whether a row has a category without training row
    test_rows: dict[str, int] = {}  # how many test rows each column would move
    for name in categories:
        cells = table.column(name)
        unseen = {c for c in set(cells) - {cells[row] for row in train} if not is_missing(c)}
        if unseen:
            column_unseen = np.array([cell in unseen for cell in cells])
            test_rows[name] = int(column_unseen[held_out].sum())
            unseen_row |= column_unseen
    remaining = held_out[~unseen_row[held_out]]
    if 2 * len(remaining) < len(held_out):
        worst = max(test_rows, key=test_rows.__getitem__)
        raise ValueError(
            f"{table.path}: column {short_repr(worst)} has {len(set(table.column(worst)))} "
            f"different values in {len(table)} rows, and {test_rows[worst]} of the {len(held_out)} "
            f"test rows have one that no training row has; write ignore=[{worst!r}]"
        )
    return table.take(np.setdiff1d(np.arange(len(table)), remaining)), table.take(remaining)
