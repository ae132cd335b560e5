"""A CSV file as a dataset: read, divided, and prepared by what its training rows teach."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np

from ..._common.validation import check_choice, check_names
from ..dataset import Dataset
from ..split import split_rows
from .columns import Column, Fill, Numeric, holds_numbers
from .csv_reader import Table, is_missing, read_csv
from .preprocessor import Preparation, Task, labels_to_divide, target_of

Missing = Literal["refuse", "mean", "median", "drop"]


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
    """The rows of a CSV file, ready to train on; its ``held_out`` are those to test with.

    Numbers are standardised, names become one-hot, and what that takes is learned from the
    training rows alone: it is the ``preparation`` of the dataset. Classes are kept in proportion
    in both parts. A name that only rows held out would have brings these rows to the training part;
    a column that would bring more than half of them is refused.

    Args:
        path: the file; :func:`read_csv` says what it may look like, and what ``delimiter``,
            ``header`` and ``encoding`` are.
        target: the column to predict; by default the last.
        test: the fraction of the rows to hold out, drawn by ``seed``; None holds out nothing.
        seed: of what is held out.
        missing: what to do where a value is missing: "refuse" says where, "mean" and "median" fill
            in that of the column (the most frequent name among names), "drop" leaves the row out.
        task: "classification" or "regression"; by default classification if the target holds names
            or few whole numbers, which :func:`are_labels` says exactly.
        categorical: columns whose numbers are names, such as postal codes.
        ignore: columns to leave out, such as a number of the row.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: anything is wrong with the file; the message names the line and the column.

    Example::

        train, test = split(csv("iris.csv", target="species"))
        text = train.preparation.to_json()  # to be kept with the network
    """
    check_choice("way with missing values", missing, ("refuse", "mean", "median", "drop"))
    categorical, ignore = check_names("categorical", categorical), check_names("ignore", ignore)
    expected = [*categorical, *ignore, *([] if target is None else [target])]
    table = read_csv(path, delimiter=delimiter, header=header, encoding=encoding, expected=expected)
    target = table.names[-1] if target is None else table.checked(target)
    aside = {table.checked(name) for name in ignore}
    if missing == "drop":
        before, table = table, table.without_missing([n for n in table.names if n not in aside])
        if not len(table):
            raise ValueError(f"{path}: each of the {len(before)} rows misses a value")
    fill: Fill | None = missing if missing in ("mean", "median") else None
    inputs = [name for name in table.names if name not in aside | {target}]
    named = {table.checked(name) for name in categorical}
    names = [n for n in inputs if n in named or not holds_numbers(table, n)]
    if target in named and task is None:
        task = "classification"
    column = target_of(table, target, task)  # whose classes are those of all rows
    train, held_out = table, None
    if test is not None:
        train, held_out = _divided(table, column, names, test, seed)
    preparation = Preparation.of_table(
        train,
        column if column.classes else Numeric.of(train, target),
        fill=fill,
        categorical=names,
        ignore=ignore,
    )
    name = Path(path).stem
    rest = None if held_out is None else preparation.dataset(name, held_out)
    return preparation.dataset(name, train, held_out=rest)


def _divided(
    table: Table, target: Column, names: Collection[str], test: float, seed: int
) -> tuple[Table, Table]:
    """The training rows, and those held out; ``names`` are the inputs that hold names."""
    labels = labels_to_divide(table, target)
    train, held_out = split_rows(len(table), test, seed=seed, labels=labels)
    new = np.zeros(len(table), bool)  # rows with a name that no training row has
    for name in names:
        cells = table.column(name)
        unseen = {c for c in set(cells) - {cells[row] for row in train} if not is_missing(c)}
        if unseen:
            new |= [cell in unseen for cell in cells]
    stays = held_out[~new[held_out]]
    if 2 * len(stays) < len(held_out):
        different = {name: len(set(table.column(name))) for name in names}
        most = max(different, key=different.__getitem__)
        raise ValueError(
            f"{table.path}: column {most!r} has {different[most]} names in {len(table)} rows, so "
            f"that {len(stays)} of {len(held_out)} rows can be held out whose names are in the "
            f"others; write ignore=[{most!r}]"
        )
    return table.take(np.setdiff1d(np.arange(len(table)), stays)), table.take(stays)
