"""Standardisation: what is learned from the training rows, and then applied to any rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._common.array import Array


@dataclass(frozen=True, eq=False)
class Standardizer:
    """``(x - mean) / scale``, column by column: mean 0 and variance 1 on the rows it learned from.

    Learn from the training rows alone, and apply to all: what the test rows would add to ``mean``
    and ``scale`` is knowledge that the model must not have.

    Attributes:
        mean: float64 (F,).
        scale: float64 (F,), the standard deviation (over N, not N - 1), and 1 for a column whose
            values are all the same, which so becomes 0.

    >>> rows = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    >>> Standardizer.of(rows)(rows).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, x: Array) -> Standardizer:
        """Learn from the rows of ``x`` (N, F), an array or lists, N at least 1."""
        x = np.asarray(x)
        if x.ndim != 2 or len(x) == 0:
            raise ValueError(
                f"Standardizer.of: x must be (rows, features) with a row, got shape {x.shape}"
            )
        constant = (x == x[0]).all(axis=0)  # by comparison: rounding gives a constant a deviation
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.where(constant, x[0], x.mean(axis=0, dtype=np.float64))
            scale = x.std(axis=0, dtype=np.float64)
        if not np.isfinite(scale).all():
            column = int(np.isfinite(scale).argmin())
            raise ValueError(
                f"Standardizer.of: column {column} is not finite, or overflows float64"
            )
        return cls(mean, np.where(constant | (scale == 0), 1.0, scale))  # 0: it underflowed

    @classmethod
    def dividing(cls, by: float, columns: int) -> Standardizer:
        """Nothing is learned: each of so many ``columns`` is divided ``by`` a number.

        >>> Standardizer.dividing(by=16, columns=2)(np.array([[0, 8]]))
        array([[0. , 0.5]], dtype=float32)
        """
        return cls(np.zeros(columns), np.full(columns, float(by)))

    def __call__(self, x: Array) -> Array:
        """Standardise the rows of ``x`` (N, F), in their dtype."""
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise ValueError(
                f"Standardizer: x must be (rows, {len(self.mean)}), like what it learned from, "
                f"got shape {x.shape}"
            )
        dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.float32
        standardised: Array = ((x - self.mean) / self.scale).astype(dtype)
        return standardised
