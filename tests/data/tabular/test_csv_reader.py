import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp.data import Preprocessor, Table, csv, read_csv
from tinygrad_mlp.data.tabular import csv_reader as module
from tinygrad_mlp.data.tabular.csv_reader import is_missing, number


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def rows(table: Table) -> list[list[str]]:
    return [list(row) for row in table.rows]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_line_ends_and_byte_order_marks(
    file: Path, end: str, mark: str, delimiter: str
) -> None:
    lines = ["age,city", "41,Bern", "", '7,"New, York; NY|US"', ""]
    if delimiter != ",":
        lines = [line.replace(",", delimiter, 1) for line in lines]
    file.write_bytes((mark + end.join(lines)).encode())
    table = read_csv(file)
    assert table.names == ("age", "city")
    assert rows(table) == [["41", "Bern"], ["7", "New, York; NY|US"]]
    assert list(table.lines) == [2, 4]


def test_quoted_cells_hold_anything(file: Path) -> None:
    file.write_text('id, text\n1,"a ""quoted"" word"\n2, "two\nlines, one cell"\n3,\u2028x\n')
    table = read_csv(file)
    assert table.column("text") == ['a "quoted" word', "two\nlines, one cell", "x"]
    assert list(table.lines) == [2, 3, 5], "the line where each row begins"


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(str.strip)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6))
def test_what_is_quoted_comes_back(tmp_path_factory: pytest.TempPathFactory, cells) -> None:
    file = tmp_path_factory.mktemp("tables") / "any.csv"
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    file.write_bytes("\n".join(["a,b", *quoted]).encode())
    assert rows(read_csv(file, delimiter=",", header=True)) == cells


def test_a_header_is_a_first_line_without_numbers(file: Path) -> None:
    file.write_text("a,b\n1,2\n")
    assert read_csv(file).names == ("a", "b")
    file.write_text("1,b\n1,2\n")
    assert read_csv(file).names == ("column 1", "column 2")
    assert len(read_csv(file)) == 2
    assert read_csv(file, header=True).names == ("1", "b")
    file.write_text("x,y\nx,z\n")
    assert rows(read_csv(file, header=False)) == [["x", "y"], ["x", "z"]]
    file.write_text(",b\n0,2\n")
    assert read_csv(file).names == ("column 1", "b"), "as pandas writes its index"
    file.write_text("2019,2020,y\n1,2,x\n")
    assert read_csv(file).names == ("column 1", "column 2", "column 3")
    assert read_csv(file, expected=["y", "2020"]).names == ("2019", "2020", "y")
    assert read_csv(file, expected=["z"]).names == ("column 1", "column 2", "column 3")


def test_a_delimiter_at_the_end_of_each_line_makes_no_column(file: Path) -> None:
    file.write_text("a,b,,\n1,2,,\n3,,,\n")
    assert read_csv(file).names == ("a", "b")
    assert rows(read_csv(file)) == [["1", "2"], ["3", ""]]
    file.write_text("a,b,\n1,2,\n3,4,5\n")
    assert read_csv(file).names == ("a", "b", "column 3")
    file.write_text("1,\n2,\n")
    assert rows(read_csv(file)) == [["1"], ["2"]]


def test_one_column_is_a_table_too(file: Path) -> None:
    file.write_text("word\nyes\nno\n")
    assert rows(read_csv(file)) == [["yes"], ["no"]]


def test_other_encodings(file: Path) -> None:
    file.write_bytes("name,city\nJosé,Zürich\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"table.csv, line 2: byte 13 is not utf-8: .*'cp1252'"):
        read_csv(file)
    assert rows(read_csv(file, encoding="cp1252")) == [["José", "Zürich"]]
    file.write_bytes("name,city\nJosé,Zürich\n".encode("utf-16"))
    for options in ({}, {"encoding": "utf-16"}):
        assert rows(read_csv(file, **options)) == [["José", "Zürich"]], (
            "its byte order mark says so"
        )
    file.write_text("a,b\n1,2\n")
    for name in ("latin-99", "hex"):
        with pytest.raises(ValueError, match=f"no encoding is called '{name}'; write encoding="):
            read_csv(file, encoding=name)
    with pytest.raises(
        ValueError, match=r"table\.csv is not undefined: .*; write encoding='utf-8'"
    ):
        read_csv(file, encoding="undefined")


def test_marks_of_wide_encodings_and_a_mixture_of_two(file: Path) -> None:
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        file.write_bytes("\ufeffcity\nZürich\n".encode(encoding))
        assert rows(read_csv(file)) == [["Zürich"]]
        file.write_bytes("city,age\nBern,7\n".encode(encoding))
        with pytest.raises(
            ValueError, match=r"table\.csv, line 1: a NUL character, so this is not"
        ):
            read_csv(file)
        assert rows(read_csv(file, encoding=encoding)) == [["Bern", "7"]]
    file.write_bytes("\ufeffcity\nZürich\n\n".encode() + "Genève\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"table\.csv, line 4: byte 20 is not utf-8"):
        read_csv(file)
    cut = "\ufeffcity\nऊZürich\n".encode("utf-16-le")[:-1]  # ऊ has the byte of a line end
    file.write_bytes(cut)
    with pytest.raises(
        ValueError, match=rf"table\.csv, line 2: byte {len(cut) - 1} is not utf-16: "
    ):
        read_csv(file)


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", 3])
def test_a_delimiter_is_one_character(file: Path, delimiter: object) -> None:
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"delimiter must be one character, got .*; write"):
        read_csv(file, delimiter=delimiter)


class Name(str):
    """A name of a column that counts how often it is compared with another."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_work_is_linear_in_the_number_of_columns() -> None:
    columns = 3000
    names = tuple(Name(f"c{k}") for k in range(columns))
    cells = [[("0.5", "1.5", "red", "?")[(k + row) % 2 + k % 2 * 2] for k in range(columns)]
             for row in range(2)]  # fmt: skip
    wide = Table("wide.csv", names, cells, [2, 3])
    Name.compared = 0
    preprocessor = Preprocessor.fit(wide, names[0], fill="mean", ignore=names[5:9:4])
    assert preprocessor.x(wide).shape == (2, preprocessor.num_features)
    assert len(wide.drop_missing(names[::2])) == 2
    assert Name.compared < 20 * columns, "a search through the names makes 3000 / 2 per column"


def calls(function: Callable[[], object]) -> int:
    """The number of Python and C functions that a call calls."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("end", ["", ",", ",,,,"])
def test_reading_calls_a_number_of_functions_in_proportion_to_the_cells(
    file: Path, end: str
) -> None:
    counts = []
    for columns in (200, 2000):
        header = ",".join(f"c{k}" for k in range(columns))
        row = ",".join("7" for _ in range(columns))
        file.write_text(f"{header}{end}\n" + f"{row}{end}\n" * 3)
        counts.append(calls(lambda: csv(file, test=None, task="regression")))
    assert counts[1] < 11 * counts[0]


def test_empty_columns_at_the_end_are_cut_off_at_once(file: Path) -> None:
    columns = 3000
    file.write_text(f"a,b{',' * columns}\n" + f"1,2{',' * columns}\n" * 2)
    few = calls(lambda: read_csv(file))
    file.write_text(f"a,b{',x' * columns}\n" + f"1,2{',x' * columns}\n" * 2)
    with pytest.raises(ValueError, match="two columns are called 'x', columns 3 and 4; rename one"):
        read_csv(file)
    assert few < 20 * columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " is empty: expected a header and rows"),
        ("\n\r\n \n", " is empty: expected a header and rows"),
        ("a,b\n", " has a header and no rows"),
        ("a,b\n1,2\n3\n", ", line 3: expected 2 cells, as in the first line, got 1: '3'"),
        ("a,b\n1,2\n\n3,4,5\n", ", line 4: expected 2 cells, as in the first line, got 3: '3,4,5'"),
        ('a,b\n"1\n",2\n3\n', ", line 4: expected 2 cells"),
        ("a,b,a\n1,2,3\n", ", line 1: two columns are called 'a', columns 1 and 3; rename one"),
        (
            'a,b\n1,2\n3,"4\n5,6\n',
            """, line 3, column 2: the quote at the beginning of '"4\\n5,6\\n' is not closed; w""",
        ),
        ('a,b\n"1,2\n' + "3,4\n" * 99_999, """, line 2, column 1: the quote at the beginning of"""),
        (
            'a,b,c\n"x ""y"", z",  "2"q,3\n',
            ", line 2, column 2: expected ',' after the closing quote, got 'q'; write a quote ins",
        ),
        (
            "a,b\n1," + "2" * 131_073,
            f", line 2, column 2: '{'2' * 30}...' is longer than 131,072 c",
        ),
        ("a,b\n1,2\n3,\0\n", ", line 3: a NUL character, so this is not text in utf-8; save"),
        ("a\0,\0b\0\n\0", ", line 1: a NUL character, .* write encoding='utf-16-le' if the"),
    ],
)
def test_an_error_in_a_file_is_located(file: Path, text: str, message: str) -> None:
    file.write_bytes(text.encode())
    expected = ".*".join(map(re.escape, f"{file}{message}".split(".*")))
    with pytest.raises(ValueError, match=f"^{expected}") as refused:
        read_csv(file)
    assert len(str(refused.value)) < 400, "a line that can be read, however long the cell"


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"table\.csv"):
        read_csv(file)


def test_an_unknown_column_lists_the_known_ones(file: Path) -> None:
    file.write_text("age,city\n1,x\n")
    message = r"no column of .*e.csv is called 'aeg'; the names are: age, city; did you .* 'age'\?"
    with pytest.raises(ValueError, match=message):
        read_csv(file).column("aeg")


def test_rows_taken_keep_their_lines(file: Path) -> None:
    file.write_text("a,b\n1,x\n2,\n3,z\n")
    table = read_csv(file)
    error = table.take([2, 0]).error(0, "b", "wrong")
    assert str(error) == f"{file}, line 4, column 'b': wrong"
    assert list(table.drop_missing(["b"]).lines) == [2, 4]
    assert list(table.drop_missing(["a"]).lines) == [2, 3, 4]


def test_numbers_are_found_once_and_taken_along(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("a,b\n1,x\n2,y\n,z\n")
    table = read_csv(file)
    assert table.numbers("a").tolist()[:2] == [1, 2]
    monkeypatch.setattr(module, "numbers", None)
    assert table.numbers("a") is table.numbers("a")
    part = table.take([2, 1])
    assert np.isnan(part.numbers("a")[0])
    assert part.numbers("a")[1] == 2
    assert part.column("b") == ["z", "y"], "not the cells of the full table"


def test_many_columns_are_not_all_listed(file: Path) -> None:
    file.write_text(",".join(f"c{k}" for k in range(784)) + "\n" + "1," * 783 + "1\n")
    with pytest.raises(ValueError, match=r"c39 and 744 others; did you mean 'c783'\?$"):
        read_csv(file).column("cc783")


def test_what_is_missing_and_what_is_a_number() -> None:
    assert all(is_missing(cell) for cell in ("", "?", "NA", "n/a", "NaN", "nan", "NULL"))
    assert not any(is_missing(cell) for cell in ("0", "none", "no", "-"))
    assert [number(cell) for cell in ("1", "-.5", "1e3", "+2")] == [1.0, -0.5, 1000.0, 2.0]
    assert not any(number(c) is not None for c in ("1,5", "1_0", "inf", "-Infinity", "1e999", "x"))
