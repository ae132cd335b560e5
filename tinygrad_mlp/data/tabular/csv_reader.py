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
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..._common.array import Array
from ..._common.validation import check_choice, short_repr

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})  # in lower case
DELIMITERS = ",;\t|"
BOMS = {  # UTF-32 first: its little-endian mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a CSV file as text, stripped of surrounding blanks.

    Attributes:
        path: path of the file, for error messages.
        names: names of the columns, all different.
        rows: the cells of each row.
        lines: the number of each row in the file, by ``unit``.
        unit: what ``lines`` count: lines of the file, from 1, or rows.

    >>> table = Table("pets.csv", ("age", "name"), [["3", "Rex"], ["?", "Tom"]], lines=[2, 3])
    >>> table.column("name"), table.numbers("age").tolist(), len(table.drop_missing(["age"]))
    (['Rex', 'Tom'], [3.0, nan], 1)
    >>> table.error(1, "age", "too young")
    ValueError("pets.csv, line 3, column 'age': too young")
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

    @cached_property
    def _index(self) -> dict[str, int]:
        """The position of each column; a search in ``names`` would be quadratic over all."""
        return {name: index for index, name in enumerate(self.names)}

    def column(self, name: str) -> Sequence[str]:
        """Return the cells of a column.

        Raises:
            ValueError: there is no such column.
        """
        if name not in self._columns:
            index = self._index[self.check_name(name)]
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
        return check_choice(f"column of {self.path}", name, self._index)

    def error(self, row: int, name: str, message: str) -> ValueError:
        """Return an error about a cell; its message begins with file, line and column."""
        place = f"{self.unit} {self.lines[row]}, column {short_repr(name)}"
        return ValueError(f"{self.path}, {place}: {message}")

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
    so are empty last columns (a delimiter at the end of each line). A cell has at most
    ``csv.field_size_limit()`` characters.

    Args:
        path: the file.
        delimiter: separator of cells; by default the one of ``, ; | tab`` that splits the first
            ten lines into the most cells, the same number in each line.
        header: whether the first line names the columns. By default it does if none of its cells
            is a number, or if it has all ``expected`` names. Without a header the columns are
            called "column 1", "column 2" and so on.
        encoding: encoding of the file; a byte order mark of UTF-16 or UTF-32 overrides it.
        expected: columns that the caller needs.

    Raises:
        OSError: the file does not exist (FileNotFoundError), or cannot be read.
        ValueError: the file is empty or has no rows, a row is longer or shorter than the header,
            two columns have the same name, a quote or the encoding is wrong, or there is a NUL
            character, which no text has; the message gives the line.

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
    elif not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter must be one character, got {delimiter!r}; write delimiter=';'")
    records = _without_empty_columns(list(_records(lines, delimiter, file)))
    if not records:
        raise ValueError(f"{file} is empty: expected a header and rows")
    first_line, first = records[0]
    if header is None:
        has_expected = bool(expected) and set(expected) <= set(first)
        header = has_expected or all(number(cell) is None for cell in first)
    names = tuple((header and name) or f"column {k}" for k, name in enumerate(first, start=1))
    _check_different(names, f"{file}, line {first_line}")
    body = records[1:] if header else records
    if not body:
        raise ValueError(f"{file} has a header and no rows")
    for line, cells in body:
        if len(cells) != len(names):
            raise ValueError(
                f"{file}, line {line}: expected {len(names)} cells, as in the first line, got "
                f"{len(cells)}: {short_repr(delimiter.join(cells))}; a cell with {delimiter!r} in "
                'it is written in quotes: "..."'
            )
    return Table(file, names, [cells for _, cells in body], [line for line, _ in body])


def _without_empty_columns(records: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Return the records without the last cells that are empty in all of them."""
    extra = min((_count_empty(cells) for _, cells in records), default=0)
    return [(line, cells[: len(cells) - extra]) for line, cells in records] if extra else records


def _count_empty(cells: Sequence[str]) -> int:
    """Return the number of empty cells at the end, without the first cell."""
    return next((k for k, cell in enumerate(reversed(cells[1:])) if cell), len(cells) - 1)


def _check_different(names: Sequence[str], place: str) -> None:
    ((name, count),) = Counter(names).most_common(1)
    if count > 1:
        first = names.index(name)
        both = f"columns {first + 1} and {names.index(name, first + 1) + 1}"
        hint = "rename one, or delete it"
        raise ValueError(f"{place}: two columns are called {short_repr(name)}, {both}; {hint}")


def _read_lines(path: Path, encoding: str) -> list[str]:
    data = path.read_bytes()
    encoding = next((name for bom, name in BOMS.items() if data.startswith(bom)), encoding)
    try:
        text = data.decode(encoding)
    except (LookupError, TypeError):
        raise ValueError(f"no encoding is called {encoding!r}; write encoding='cp1252'") from None
    except UnicodeDecodeError as error:
        line = len(_split_lines(data[: error.start].decode(encoding, "replace") + "."))
        raise ValueError(
            f"{path}, line {line}: byte {error.start} is not {encoding}: {error.reason}; write "
            "encoding='cp1252' for files from Windows"
        ) from None
    except ValueError as error:  # of the codecs that are not for files, such as idna
        raise ValueError(f"{path} is not {encoding}: {error}; write encoding='utf-8'") from None
    if "\0" in text:
        line = len(_split_lines(text[: text.index("\0") + 1]))
        raise ValueError(
            f"{path}, line {line}: a NUL character, so this is not text in {encoding}; save the "
            "table as CSV in UTF-8, or write encoding='utf-16-le' if the file is in UTF-16"
        )
    return _split_lines(text.removeprefix("\ufeff"))


def _split_lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))  # line ends are kept


def _records(lines: Sequence[str], delimiter: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record and the line where it begins; a quoted cell may span several lines."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) or len(cells) > 1:
                yield begin, [cell.strip() for cell in cells]
            begin = reader.line_num + 1
    except csv.Error:
        column, message = _locate("".join(lines[begin - 1 :]), delimiter)
        raise ValueError(f"{file}, line {begin}, column {column}: {message}") from None


def _locate(text: str, delimiter: str) -> tuple[int, str]:
    """Return the number of the first cell in ``text`` that is malformed, and what is wrong."""
    cell = re.compile(rf' *+(?:"([^"]*+(?:""[^"]*+)*+)"|(?!")[^{re.escape(delimiter)}\r\n]*+)')
    limit, column, start, found = csv.field_size_limit(), 1, 0, cell.match(text)
    while found and len(found[0]) <= limit and text.startswith(delimiter, found.end()):
        column, start = column + 1, found.end() + 1
        found = cell.match(text, start)
    begin = short_repr(text[start:].lstrip(" "), 30)
    if found is None:
        hint = 'write it as "..." with each quote inside doubled, or delete the quote'
        return column, f"the quote at the beginning of {begin} is not closed; {hint}"
    if len(found[0]) > limit:
        return column, f"{begin} is longer than {limit:,} characters, the limit of a cell"
    got, hint = text[found.end()], 'write a quote inside a quoted cell twice: "a ""b"" c"'
    return column, f"expected {delimiter!r} after the closing quote, got {got!r}; {hint}"


def _detect_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that splits the first ten lines evenly into the most cells."""

    def rank(delimiter: str) -> tuple[bool, int]:
        widths = []
        with contextlib.suppress(ValueError):  # the tenth line may end inside a quoted cell
            for _, cells in _records(lines[:10], delimiter, ""):
                widths.append(len(cells))
        return len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0

    return max(DELIMITERS, key=rank)
