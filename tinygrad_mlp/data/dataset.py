"""What every dataset is, wherever it came from: rows, their targets, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .._common.array import Array

if TYPE_CHECKING:
    from .tabular.preprocessor import Preparation


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows ``x`` and their targets ``y``, which it unpacks to: ``x, y = dataset``.

    So a dataset goes wherever a pair of arrays does: ``tg.fit(model, optimizer, dataset)``.
    The arrays are read-only, because every reader of the dataset sees the same ones.

    Attributes:
        name: what it is called on the command line.
        x: float32 (N, F).
        y: int64 (N,), indices into ``classes``; or float32 (N,) where there are no classes.
        classes: the name of each label, in order; empty for regression.
        image_shape: (height, width) if a row is a picture.
        source: who made it, where it is published, under which licence.
        held_out: the rows to test with, where they are kept apart already: by those who published
            them, or because what prepared the rows must not have seen them.
        preparation: how ``x`` and ``y`` were made of what a file holds, to make more of them.

    Raises:
        ValueError: ``x`` is not 2-d, or ``x`` and ``y`` differ in length.

    >>> import numpy as np
    >>> dataset = Dataset("xor", np.eye(2, dtype=np.float32), np.array([0, 1]), ("no", "yes"))
    >>> dataset
    Dataset('xor', rows=2, features=2, classes=2)
    """

    name: str
    x: Array
    y: Array
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    source: str = ""
    held_out: Dataset | None = None
    preparation: Preparation | None = None

    def __post_init__(self) -> None:
        for field in ("x", "y"):
            frozen = np.asarray(getattr(self, field)).view()
            frozen.flags.writeable = False
            object.__setattr__(self, field, frozen)
        if self.x.ndim != 2 or len(self.x) != len(self.y):
            raise ValueError(
                f"Dataset {self.name!r}: x must be (rows, features) and y hold one target per row, "
                f"got x of shape {self.x.shape} and y of shape {self.y.shape}"
            )

    def __iter__(self) -> Iterator[Array]:
        return iter((self.x, self.y))

    def take(self, rows: Array) -> Dataset:
        """The dataset of these ``rows`` only: int64 (M,), in this order, nothing held out."""
        return replace(self, x=self.x[rows], y=self.y[rows], held_out=None)

    def __repr__(self) -> str:
        rows, features = self.x.shape
        classes = f", classes={len(self.classes)}" if self.classes else ""
        held_out = f", held_out={len(self.held_out.y)}" if self.held_out is not None else ""
        return f"Dataset({self.name!r}, rows={rows}, features={features}{classes}{held_out})"
