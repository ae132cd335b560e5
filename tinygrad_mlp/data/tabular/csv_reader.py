"""Read a CSV file into a table of text that keeps the line number of each row.

The format is that of RFC 4180, as Python's ``csv`` module reads it. Delimiter and header are
detected.
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

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})  # in lower case
DELIMITERS = ",;\t|"


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a CSV file as text, stripped of surrounding blanks.

    Attributes:
        path: path of the file, for error messages.
        names: names of the columns, all different.
        rows: the cells of each row.
        lines: the number of each row in the file, by ``unit``.
        unit: what ``lines`` count: lines of the file, from 1, or rows.
    """

    path: str
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    unit: str = "line"
    _columns: dict[str, list[str]] = field(default_factory=dict, repr=False)
    _numbers: dict[str, Array] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Sequence[str]:
        """Return the cells of a column.

        Raises:
            ValueError: there is no such column.
        """
        if name not in self._columns:
            index = self.names.index(self.check_name(name))
            self._columns[name] = [row[index] for row in self.rows]
        return self._columns[name]

    def numbers(self, name: str) -> Array:
        """Return :func:`numbers` of a column, computed once (also for tables made by `take`)."""
        if name not in self._numbers:
            self._numbers[name] = numbers(self.column(name))
        return self._numbers[name]

    def check_name(self, name: str) -> str:
        """Return ``name``, which must be the name of a column.

        Raises:
            ValueError: it is not; the message lists the columns and suggests the closest.
        """
        return check_choice(f"column of {self.path}", name, self.names)

    def error(self, row: int, name: str, message: str) -> ValueError:
        """Return an error about a cell; its message begins with file, line and column."""
        return ValueError(f"{self.path}, {self.unit} {self.lines[row]}, column {name!r}: {message}")

    def take(self, rows: Array | Sequence[int]) -> Table:
        """Return a table of the rows with these indices."""
        indices = [int(row) for row in rows]
        return replace(
            self,
            rows=[self.rows[row] for row in indices],
            lines=[self.lines[row] for row in indices],
            _columns={},
            _numbers={name: values[indices] for name, values in self._numbers.items()},
        )

    def drop_missing(self, names: Sequence[str]) -> Table:
        """Return a table of the rows that have a value in each of the columns ``names``."""
        columns = [[is_missing(cell) for cell in self.column(name)] for name in names]
        missing = np.any(columns, axis=0) if columns else np.zeros(len(self), bool)
        return self.take(np.flatnonzero(~missing))


def is_missing(cell: str) -> bool:
    """Return whether a cell marks a missing value: "", "?", "NA", "N/A", "NaN" or "null"."""
    return cell.lower() in MISSING


def number(cell: str) -> float | None:
    """Return the finite number in a cell, or None.

    >>> number("-1.5e3"), number("1_000"), number("inf"), number("five")
    (-1500.0, None, None, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if "_" not in cell and math.isfinite(value) else None


def numbers(cells: Sequence[str]) -> Array:
    """Return float64 (N,): the number in each cell, nan if missing, inf if it is something else.

    >>> numbers(["1.5", "?", "five"])
    array([1.5, nan, inf])
    """
    with contextlib.suppress(ValueError):  # fast path: each cell is a number
        values = np.array([float(cell) for cell in cells])
        if np.isfinite(values).all() and "_" not in "".join(cells):
            return values
    return np.array([_number_or_marker(cell) for cell in cells])


def _number_or_marker(cell: str) -> float:
    value = number(cell)
    if value is None:
        return math.nan if is_missing(cell) else math.inf
    return value


def read_csv(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    expected: Collection[str] = (),
) -> Table:
    r"""Read a CSV file into a :class:`Table`.

    Cells may be quoted with ``"``. All usual line ends are accepted; empty lines are skipped, and
    so is an empty last column (a delimiter at the end of each line).

    Args:
        path: the file.
        delimiter: separator of cells; by default the one of ``, ; | tab`` that splits the first
            ten lines into the most cells, the same number in each line.
        header: whether the first line names the columns. By default it does if none of its cells
            is a number, or if it has all ``expected`` names. Without a header the columns are
            called "column 1", "column 2" and so on.
        encoding: encoding of the file; a UTF-16 byte order mark overrides it.
        expected: columns that the caller needs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or has no rows, a row is longer or shorter than the header,
            two columns have the same name, or a quote or the encoding is wrong; the message gives
            the line.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text('name;height\n"Doe; Jane";1.7\n')
    ...     table = read_csv(path)
    >>> table.names, table.rows[0]
    (('name', 'height'), ['Doe; Jane', '1.7'])
    """
    file = str(path)
    lines = _read_lines(Path(path), encoding)
    if delimiter is None:
        delimiter = _detect_delimiter(lines)
    records = list(_records(lines, delimiter, file))
    if not records:
        raise ValueError(f"{file} is empty: expected a header and rows")
    while all(len(cells) > 1 and not cells[-1] for _, cells in records):
        records = [(line, cells[:-1]) for line, cells in records]
    first_line, first = records[0]
    if header is None:
        has_expected = bool(expected) and set(expected) <= set(first)
        header = has_expected or all(number(cell) is None for cell in first)
    names = tuple((header and name) or f"column {k}" for k, name in enumerate(first, start=1))
    if len(set(names)) != len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{file}, line {first_line}: two columns are called {duplicate!r}")
    body = records[1:] if header else records
    if not body:
        raise ValueError(f"{file} has a header and no rows")
    for line, cells in body:
        if len(cells) != len(names):
            raise ValueError(
                f"{file}, line {line}: expected {len(names)} cells, as in the first line, got "
                f"{len(cells)}: {delimiter.join(cells)[:60]!r}"
            )
    return Table(file, names, [cells for _, cells in body], [line for line, _ in body])


def _read_lines(path: Path, encoding: str) -> list[str]:
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
            "encoding='cp1252' for files from Windows"
        ) from None
    return list(io.StringIO(text.removeprefix("\ufeff"), newline=""))  # line ends are kept


def _records(lines: Sequence[str], delimiter: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record and the line where it begins; a quoted cell may span several lines."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) or len(cells) > 1:
                yield begin, [cell.strip() for cell in cells]
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{file}, line {begin}: {error}") from None


def _detect_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that splits the first ten lines evenly into the most cells."""

    def rank(delimiter: str) -> tuple[bool, int]:
        widths = []
        with contextlib.suppress(ValueError):  # the tenth line may end inside a quoted cell
            for _, cells in _records(lines[:10], delimiter, ""):
                widths.append(len(cells))
        return len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0

    return max(DELIMITERS, key=rank)
