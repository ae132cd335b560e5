"""What every epoch of a fit measured."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._common.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PACE = ("epoch", "lr", "seconds", "samples_per_second")
"""The columns that are not measures of the model."""


class History:
    """One row of numbers for each epoch, which :func:`~tinygrad_mlp.fit` returns.

    A row has ``epoch`` (from 1), ``loss``, a value for each metric, the same with ``val_`` before
    their names if there was validation, ``lr`` (of the optimizer's first group, as this epoch used
    it), ``seconds``, and ``samples_per_second`` (of training, without validation).

    >>> history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}])
    >>> history["loss"], history.last["loss"]
    ([2.0, 1.0], 1.0)
    """

    def __init__(self, rows: Sequence[Mapping[str, float]] = ()) -> None:
        self.rows: list[dict[str, float]] = [dict(row) for row in rows]

    def append(self, row: Mapping[str, float]) -> None:
        """Add the row of one more epoch."""
        self.rows.append(dict(row))

    @property
    def names(self) -> tuple[str, ...]:
        """What was measured, in order; empty before the first epoch."""
        return tuple(self.rows[0]) if self.rows else ()

    @property
    def last(self) -> dict[str, float]:
        """The row of the last epoch; IndexError if there is none."""
        return self.rows[-1]

    def __getitem__(self, name: str) -> list[float]:
        """The values of one measure, epoch by epoch; KeyError if it was not measured."""
        if name not in self.names:
            raise KeyError(f"history has no {name!r}; it has {', '.join(self.names) or 'no rows'}")
        return [row[name] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={value:.4g}" for name, value in self.last.items()) if self else ""
        return f"History(epochs={len(self)}{', last: ' if last else ''}{last})"

    def to_dict(self) -> dict[str, Any]:
        """What :meth:`save` writes: ``{"epochs": [row, ...]}``, and ``History(d["epochs"])`` reads.

        JSON knows no inf and nan; they become None.
        """
        rows = [{k: v if math.isfinite(v) else None for k, v in row.items()} for row in self.rows]
        return {"epochs": rows}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON to ``path``: to another name first, then renamed, so never half a file."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the training curves, and write them to ``path`` (.png, .svg, .pdf) if given.

        Raises:
            ModuleNotFoundError: matplotlib is missing; the message says how to install it.
        """
        from .plots import curves

        return curves(self, path)
