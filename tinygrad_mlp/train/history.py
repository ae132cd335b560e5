"""`History`: the measurements of each epoch of a `fit`."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from .._common.files import write_json
from .._common.validation import short_repr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_METRICS = ("epoch", "lr", "seconds", "samples_per_second")
"""The columns that do not measure the model."""


class History:
    """A table with one row of numbers for each epoch, returned by :func:`~tinygrad_mlp.fit`.

    The columns are ``epoch`` (from 1), ``loss``, each metric, the same with the prefix ``val_`` if
    there was validation, ``lr`` (of the first parameter group, as used in this epoch), ``seconds``
    and ``samples_per_second`` (of training, without validation).

    Args:
        rows: one mapping for each epoch, e.g. those of an earlier history; copied. None, which
            `to_dict` writes for inf and nan, is read as nan.

    Raises:
        ValueError: ``rows`` are not mappings from names to numbers.

    >>> history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}])
    >>> history["loss"], history.last["loss"], len(history)
    ([2.0, 1.0], 1.0, 2)
    """

    def __init__(self, rows: Sequence[Mapping[str, float | None]] = ()) -> None:
        if not isinstance(rows, Iterable):
            raise ValueError(f"rows must be a list with a dict for each epoch, got {rows!r}")
        self.rows: list[dict[str, float]] = [_checked(row) for row in rows]

    def append(self, row: Mapping[str, float]) -> None:
        """Add the row of one more epoch."""
        self.rows.append(dict(row))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order; empty before the first epoch."""
        return tuple(self.rows[0]) if self.rows else ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the loss and the metrics, in order, without those of validation."""
        return tuple(n for n in self.names if n not in NOT_METRICS and not n.startswith("val_"))

    @property
    def last(self) -> dict[str, float]:
        """The row of the last epoch; IndexError if there is none."""
        return self.rows[-1]

    def __getitem__(self, name: str) -> list[float]:
        """Return a column, epoch by epoch; KeyError if no column has this name."""
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
        """Return ``{"epochs": [row, ...]}`` for JSON; ``History(d["epochs"])`` reads it.

        inf and nan, which JSON does not have, become None.
        """
        rows = [{k: v if math.isfinite(v) else None for k, v in row.items()} for row in self.rows]
        return {"epochs": rows}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` as JSON to ``path``, atomically."""
        write_json(path, self.to_dict())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the training curves, as :func:`~tinygrad_mlp.train.curves` does.

        Args:
            path: a file to write, .png, .svg or .pdf.

        Raises:
            ValueError: the history is empty.
            ModuleNotFoundError: matplotlib is missing; the message says how to install it.
        """
        from .plots import curves

        return curves(self, path)


def _checked(row: object) -> dict[str, float]:
    """Return a copy of a row whose values are floats or ints of that range, with nan for None."""
    if isinstance(row, Mapping):
        values = {name: math.nan if value is None else value for name, value in row.items()}
        names = all(isinstance(name, str) for name in values)
        with contextlib.suppress(OverflowError):  # of an int beyond float64
            if names and all(isinstance(v, Real) and float(v) is not None for v in values.values()):
                return values
    raise ValueError(
        f"a row of a history is a dict of numbers by name, got {short_repr(repr(row))}"
    )
