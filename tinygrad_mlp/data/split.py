"""Rows held out: a dataset in two parts that share no row."""

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
    """``(train, test)``: the fraction ``test`` of the rows held out, drawn at random by ``seed``.

    Without ``test``, the second part is what the dataset holds out itself, or else 0.2 of it.
    Stratified, which is the default where there are classes: the held-out part has
    ``round(test * N)`` rows, and of each class its share of them to within one row.
    For three parts, split twice::

        rest, test = split(dataset)
        train, validation = split(rest, 0.25)  # a quarter of what is left: 60 / 20 / 20

    Raises:
        TypeError: it is no Dataset, or ``test`` no number.
        ValueError: ``test`` is not between 0 and 1, a part would be empty, or a class has fewer
            than two rows to divide.

    >>> from tinygrad_mlp.data import digits
    >>> split(digits(), 0.2, seed=0)[1]
    Dataset('digits', rows=359, features=64, classes=10)
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"split takes a Dataset, got {type(dataset).__name__}; the rows of arrays are "
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
    """The numbers of the rows of either part, int64, where ``labels`` are what to stratify by.

    Arguments and errors are those of :func:`split`, which this is for what is no Dataset yet.

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
        raise ValueError(f"test={test} of {rows} rows leaves one part empty")
    order = generator(seed, "split").permutation(rows)
    if labels is not None:
        _refuse_lonely_classes(labels)
        order = order[np.argsort(labels[order], kind="stable")]  # class by class, each shuffled
    chosen = _evenly(rows, held_out)
    # In the dataset's own order: fit shuffles, and reading a part in order is easier.
    return np.sort(order[~chosen]), np.sort(order[chosen])


def _evenly(rows: int, chosen: int) -> Array:
    """Bool (rows,): ``chosen`` places spread evenly, so that any run of n holds n's share +- 1.

    Place i is chosen where ``floor(i * chosen / rows)`` steps: Bresenham's line.
    """
    steps = np.arange(rows + 1) * chosen // rows
    stepped: Array = np.diff(steps) == 1
    return stepped


def _refuse_lonely_classes(labels: Array) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        label = classes[counts.argmin()]
        raise ValueError(
            f"class {label} has one row only, which cannot be in both parts; "
            "write stratify=False, or leave the class out"
        )
