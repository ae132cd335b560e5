"""CSV files as tables of text, in which each cell knows its line and column.

The format is RFC 4180's, as Python's ``csv`` reads it, with the delimiter and the header found out.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import math
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..._common.array import Array
from ..._common.validation import check_choice

# What people write for "not known": compared in lower case.
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})
DELIMITERS = ",;\t|"


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a CSV file, as text without the blanks around it.

    Attributes:
        path: of the file, for errors.
        names: of the columns, each once.
        rows: of each row, its cells.
        lines: of each row, the line of the file in which it begins, from 1.
        counted: what ``lines`` count.
    """

    path: str
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    counted: str = "line"
    _cells: dict[str, list[str]] = field(default_factory=dict, repr=False)
    _numbers: dict[str, Array] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Sequence[str]:
        """The cells of a column.

        Raises:
            ValueError: there is no such column.
        """
        if name not in self._cells:
            at = self.names.index(self.checked(name))
            self._cells[name] = [row[at] for row in self.rows]
        return self._cells[name]

    def numbers(self, name: str) -> Array:
        """The :func:`numbers` that a column says, found once: rows taken know theirs."""
        if name not in self._numbers:
            self._numbers[name] = numbers(self.column(name))
        return self._numbers[name]

    def checked(self, name: str) -> str:
        """``name``, which must be that of a column.

        Raises:
            ValueError: it is none; the message says which there are, and which is close.
        """
        try:
            return check_choice("column", name, self.names)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def place(self, row: int, name: str) -> str:
        """Where a cell is, for errors: file, line and column."""
        return f"{self.path}, {self.counted} {self.lines[row]}, column {name!r}"

    def take(self, rows: Array | Sequence[int]) -> Table:
        """The table of these rows only."""
        chosen = [int(row) for row in rows]
        return replace(
            self,
            rows=[self.rows[row] for row in chosen],
            lines=[self.lines[row] for row in chosen],
            _cells={},
            _numbers={name: values[chosen] for name, values in self._numbers.items()},
        )

    def without_missing(self, names: Sequence[str]) -> Table:
        """The rows in which none of the columns ``names`` is missing."""
        places = [self.names.index(name) for name in names]
        return self.take(
            [
                row
                for row, cells in enumerate(self.rows)
                if not any(is_missing(cells[place]) for place in places)
            ]
        )


def is_missing(cell: str) -> bool:
    """Whether a cell says that its value is not known: "", "?", "NA", "N/A", "NaN" or "null"."""
    return cell.lower() in MISSING


def number(cell: str) -> float | None:
    """The finite number that a cell says, or None.

    >>> number("-1.5e3"), number("1_000"), number("inf"), number("five")
    (-1500.0, None, None, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if "_" not in cell and abs(value) < float("inf") else None


def numbers(cells: Sequence[str]) -> Array:
    """Float64 (N,): the number that each cell says, nan if it is missing, inf if it says another.

    >>> numbers(["1.5", "?", "five"])
    array([1.5, nan, inf])
    """
    with contextlib.suppress(ValueError):  # of most columns each cell is a number: that is quick
        values = np.array([float(cell) for cell in cells])
        if np.isfinite(values).all() and "_" not in "".join(cells):
            return values
    told = ((number(cell), cell) for cell in cells)
    return np.array(
        [(math.nan if is_missing(c) else math.inf) if value is None else value for value, c in told]
    )


def read_csv(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    expected: Collection[str] = (),
) -> Table:
    r"""The table in a CSV file.

    Args:
        path: the file. Cells may be quoted with ``"``, and then hold anything; lines end in any
            of the usual ways, and empty ones are passed over, as is what is empty behind a
            delimiter at the end of each line.
        delimiter: between the cells; by default the one of ``, ; | tab`` that makes most of the
            first lines while they agree.
        header: whether the first line names the columns; by default, whether none of its cells is
            a number, or it has all ``expected`` names. Otherwise the columns are called "column 1",
            "column 2" and so on.
        encoding: of the file; one that begins with UTF-16's byte order mark is UTF-16.
        expected: columns that the caller knows of.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, has no rows, a row is longer or shorter than the header, a
            column's name comes twice, or a quote or the encoding is wrong; the message says where.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text('name;height\n"Doe; Jane";1.7\n')
    ...     table = read_csv(path)
    >>> table.names, table.rows[0]
    (('name', 'height'), ['Doe; Jane', '1.7'])
    """
    file = str(path)
    lines = _lines(Path(path), encoding)
    if delimiter is None:
        delimiter = _delimiter(lines)
    records = list(_records(lines, delimiter, file))
    if not records:
        raise ValueError(f"{file} is empty: expected a header and rows")
    while all(len(cells) > 1 and not cells[-1] for _, cells in records):
        records = [(line, cells[:-1]) for line, cells in records]
    first = records[0][1]
    if header is None:
        known = bool(expected) and set(expected) <= set(first)
        header = known or not any(number(cell) is not None for cell in first)
    names = tuple(
        (name if header else "") or f"column {place}" for place, name in enumerate(first, start=1)
    )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{file}, line {records[0][0]}: two columns are called {twice!r}")
    body = records[1:] if header else records
    if not body:
        raise ValueError(f"{file} has a header and no rows")
    for line, cells in body:
        if len(cells) != len(names):
            raise ValueError(
                f"{file}, line {line}: expected {len(names)} cells, like the first line, "
                f"got {len(cells)}: {delimiter.join(cells)[:60]!r}"
            )
    return Table(file, names, [cells for _, cells in body], [line for line, _ in body])


def _lines(path: Path, encoding: str) -> list[str]:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        text = data.decode(encoding)
    except LookupError:
        raise ValueError(f"no encoding is called {encoding!r}; write encoding='cp1252'") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line}: byte {error.start} is not {encoding}: {error.reason}; write "
            "encoding='cp1252' for files of Windows"
        ) from None
    return list(io.StringIO(text.removeprefix("\ufeff"), newline=""))  # lines keep their ends


def _records(lines: Sequence[str], delimiter: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it begins in; one that is quoted may go over several."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) or len(cells) > 1:
                yield begins, [cell.strip() for cell in cells]
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{file}, line {begins}: {error}") from None


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter that makes most of the first ten lines while they agree, else of the first."""

    def rank(delimiter: str) -> tuple[bool, int]:
        widths = []
        with contextlib.suppress(ValueError):  # the tenth line may be inside of a quoted cell
            for _, cells in _records(lines[:10], delimiter, ""):
                widths.append(len(cells))
        return len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0

    return max(DELIMITERS, key=rank)
