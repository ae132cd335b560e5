"""Rows held out: a dataset in two parts that share no row."""

from __future__ import annotations

import numpy as np

from .dataset import Array, Dataset
from .random import generator


def split(
    dataset: Dataset, test: float = 0.2, *, seed: int = 0, stratify: bool | None = None
) -> tuple[Dataset, Dataset]:
    """``(train, test)``: the fraction ``test`` of the rows held out, drawn at random by ``seed``.

    Stratified, which is the default where there are classes: the held-out part has
    ``round(test * N)`` rows, and of each class its share of them to within one row.
    For three parts, split twice::

        rest, test = split(dataset, 0.2)
        train, validation = split(rest, 0.25)  # a quarter of what is left: 60 / 20 / 20

    Raises:
        ValueError: ``test`` is not between 0 and 1, a part would be empty, or a class has fewer
            than two rows to divide.

    >>> from tinygrad_mlp.data import digits
    >>> split(digits(), 0.2, seed=0)[1]
    Dataset('digits', rows=359, features=64, classes=10)
    """
    if not 0 < test < 1:
        raise ValueError(f"test must be a fraction between 0 and 1, got {test}; write test=0.2")
    rows, held_out = len(dataset.y), round(test * len(dataset.y))
    if not 0 < held_out < rows:
        raise ValueError(f"test={test} of {rows} rows leaves one part empty")
    order = generator(seed, "split").permutation(rows)
    if stratify or (stratify is None and dataset.classes):
        _refuse_lonely_classes(dataset)
        order = order[np.argsort(dataset.y[order], kind="stable")]  # class by class, each shuffled
    chosen = _evenly(rows, held_out)
    # In the dataset's own order: fit shuffles, and reading a part in order is easier.
    return dataset.take(np.sort(order[~chosen])), dataset.take(np.sort(order[chosen]))


def _evenly(rows: int, chosen: int) -> Array:
    """Bool (rows,): ``chosen`` places spread evenly, so that any run of n holds n's share +- 1.

    Place i is chosen where ``floor(i * chosen / rows)`` steps: Bresenham's line.
    """
    steps = np.arange(rows + 1) * chosen // rows
    stepped: Array = np.diff(steps) == 1
    return stepped


def _refuse_lonely_classes(dataset: Dataset) -> None:
    labels, counts = np.unique(dataset.y, return_counts=True)
    if counts.min() < 2:
        label = labels[counts.argmin()]
        raise ValueError(
            f"class {label} has one row only, which cannot be in both parts; "
            "write stratify=False, or leave the class out"
        )
