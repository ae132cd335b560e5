"""Split a dataset into training and test rows."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import numpy as np

from .._common.array import Array
from .._common.random import generator
from .dataset import Dataset


def split(
    dataset: Dataset, test: float | None = None, *, seed: int = 0, stratify: bool | None = None
) -> tuple[Dataset, Dataset]:
    """Return ``(train, test)``: the fraction ``test`` of the rows is held out at random.

    For three parts, split twice::

        rest, test = split(dataset)
        train, validation = split(rest, 0.25)  # a quarter of the rest: 60 / 20 / 20

    Args:
        dataset: the dataset.
        test: fraction of the rows to hold out: ``round(test * N)`` rows. By default the dataset's
            own ``held_out`` rows, or 0.2 if it has none.
        seed: seed of the draw.
        stratify: whether the test part gets its share of each class, to within one row; by
            default if there are classes.

    Raises:
        TypeError: ``dataset`` is not a Dataset, or ``test`` not a number.
        ValueError: ``test`` is not between 0 and 1, a part would be empty, or a class has fewer
            than two rows to divide.

    >>> from tinygrad_mlp.data import digits
    >>> split(digits(), 0.2, seed=0)[1]
    Dataset('digits', rows=359, features=64, classes=10)
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"split takes a Dataset, got {type(dataset).__name__}; for arrays use "
            "split_rows(len(x), 0.2, labels=y)"
        )
    if test is None and dataset.held_out is not None:
        return replace(dataset, held_out=None), dataset.held_out
    by_class = bool(dataset.classes) if stratify is None else stratify
    labels = dataset.y if by_class else None
    rows = split_rows(len(dataset.y), 0.2 if test is None else test, seed=seed, labels=labels)
    return dataset.take(rows[0]), dataset.take(rows[1])


def split_rows(
    rows: int, test: float, *, seed: int = 0, labels: Array | None = None
) -> tuple[Array, Array]:
    """Return the row indices of training and test part: int64, sorted.

    Args:
        rows: number of rows N.
        test: fraction of the rows to hold out.
        seed: seed of the draw.
        labels: labels (N,) to stratify by; None ignores classes.

    Raises:
        TypeError, ValueError: as :func:`split`.

    >>> train, test = split_rows(5, 0.4, seed=0)
    >>> sorted([*train.tolist(), *test.tolist()]), len(test)
    ([0, 1, 2, 3, 4], 2)
    """
    if isinstance(test, bool) or not isinstance(test, Real):
        raise TypeError(f"test must be a fraction, got {test!r}; write test=0.2")
    if not 0 < test < 1:
        raise ValueError(f"test must be a fraction between 0 and 1, got {test}; write test=0.2")
    held_out = round(test * rows)
    if not 0 < held_out < rows:
        raise ValueError(f"test={test} of {rows} rows leaves one part empty; more rows are needed")
    order = generator(seed, "split").permutation(rows)
    if labels is not None:
        _check_class_sizes(labels)
        order = order[np.argsort(labels[order], kind="stable")]  # class by class, each shuffled
    # Spread evenly over the order, by Bresenham's line: any run of n rows has n's share +- 1.
    chosen = np.diff(np.arange(rows + 1) * held_out // rows) == 1
    return np.sort(order[~chosen]), np.sort(order[chosen])


def _check_class_sizes(labels: Array) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"class {classes[counts.argmin()]} has only one row, which cannot be in both parts; "
            "write stratify=False, or drop the class"
        )
