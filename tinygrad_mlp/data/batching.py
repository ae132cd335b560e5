"""Mini-batches of equally long arrays, in a new order each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .._common.array import Array
from .._common.random import generator
from .._common.validation import INT64_MAX, check_int


@dataclass(frozen=True, eq=False)
class Batches:
    """The mini-batches of ``arrays``; :meth:`epoch` yields them, ``len()`` counts them.

    The order of an epoch is a function of ``seed`` and the number of the epoch, so there is no
    state to save. With ``shuffle`` each epoch draws its own order.

    Attributes:
        arrays: arrays of one length N, such as inputs and targets.
        batch_size: rows per batch. The last batch holds the remainder.
        shuffle: whether each epoch has its own random order.
        drop_last: whether to drop the last batch if it is smaller than ``batch_size``.
        seed: seed of the orders.

    Raises:
        TypeError: ``batch_size`` or ``seed`` is not an integer.
        ValueError: there are no arrays, they differ in length, or ``batch_size`` is below 1.

    >>> x, y = np.arange(5.0), np.arange(5)
    >>> [len(rows) for rows, _ in Batches((x, y), batch_size=2).epoch(0)]
    [2, 2, 1]
    """

    arrays: Sequence[Array]
    batch_size: int
    shuffle: bool = True
    drop_last: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_int("batch_size", self.batch_size, minimum=1, example=128, maximum=INT64_MAX)
        check_int("seed", self.seed, minimum=0, example=0)
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) != 1:
            raise ValueError(f"arrays must be of one length, got lengths {lengths}")

    @property
    def rows(self) -> int:
        """N, the length of each array."""
        return len(self.arrays[0])

    @property
    def last(self) -> int:
        """Number of rows in the last batch; 0 if there is no batch."""
        if self.drop_last:
            return self.batch_size if len(self) else 0
        return self.rows - (len(self) - 1) * self.batch_size if len(self) else 0

    def __len__(self) -> int:
        full, remainder = divmod(self.rows, self.batch_size)
        return full if self.drop_last or remainder == 0 else full + 1

    def order(self, number: int) -> Array:
        """Return the row indices of epoch ``number`` in its order: int64 (N,)."""
        if not self.shuffle:
            return np.arange(self.rows)
        return generator(self.seed, "order", number).permutation(self.rows)

    def epoch(self, number: int) -> Iterator[tuple[Array, ...]]:
        """Yield the batches of epoch ``number``: matching rows of each array, as copies."""
        order = self.order(number)
        for batch in range(len(self)):
            rows = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield tuple(np.take(array, rows, axis=0) for array in self.arrays)
