"""The type of every dataset: rows, their targets, and what is known about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .._common.array import Array

if TYPE_CHECKING:
    from .tabular.preprocessor import Preprocessor


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows ``x`` and targets ``y``, which unpack as a pair: ``x, y = dataset``.

    A dataset can therefore be passed wherever a pair of arrays can:
    ``tg.fit(model, optimizer, dataset)``. The arrays are read-only, because they are shared.

    Attributes:
        name: name of the dataset, as on the command line.
        x: float32 (N, F).
        y: int64 (N,), indices into ``classes``; float32 (N,) for regression.
        classes: name of each label, in order; empty for regression.
        image_shape: (height, width) if each row is an image.
        source: author, place of publication and licence.
        held_out: the test rows, if they were separated from the training rows by the publisher,
            or before a preprocessor was fitted.
        preprocessor: how ``x`` and ``y`` were computed from the rows of the file.

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
    preprocessor: Preprocessor | None = None

    def __post_init__(self) -> None:
        for field in ("x", "y"):
            read_only = np.asarray(getattr(self, field)).view()
            read_only.flags.writeable = False
            object.__setattr__(self, field, read_only)
        if self.x.ndim != 2 or len(self.x) != len(self.y):
            raise ValueError(
                f"Dataset {self.name!r}: x must be (rows, features) and y hold one target per row, "
                f"got x of shape {self.x.shape} and y of shape {self.y.shape}"
            )

    def __iter__(self) -> Iterator[Array]:
        return iter((self.x, self.y))

    def take(self, rows: Array) -> Dataset:
        """Return the dataset of the rows with these indices, int64 (M,), without ``held_out``."""
        return replace(self, x=self.x[rows], y=self.y[rows], held_out=None)

    def __repr__(self) -> str:
        rows, features = self.x.shape
        classes = f", classes={len(self.classes)}" if self.classes else ""
        held_out = f", held_out={len(self.held_out.y)}" if self.held_out is not None else ""
        return f"Dataset({self.name!r}, rows={rows}, features={features}{classes}{held_out})"
