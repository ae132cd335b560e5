import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp.data import Table, read_csv
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


CELLS = st.text(st.characters(exclude_categories=["Cs"])).map(str.strip)


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
    with pytest.raises(ValueError, match="no encoding is called 'latin-99'; write encoding="):
        read_csv(file, encoding="latin-99")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " is empty: expected a header and rows"),
        ("\n\r\n \n", " is empty: expected a header and rows"),
        ("a,b\n", " has a header and no rows"),
        ("a,b\n1,2\n3\n", ", line 3: expected 2 cells, as in the first line, got 1: '3'"),
        ("a,b\n1,2\n\n3,4,5\n", ", line 4: expected 2 cells, as in the first line, got 3: '3,4,5'"),
        ('a,b\n"1\n",2\n3\n', ", line 4: expected 2 cells"),
        ("a,b,a\n1,2,3\n", ", line 1: two columns are called 'a'"),
        ('a,b\n1,"2\n3,4\n', ", line 2: unexpected end of data"),
        ('a,b\n1,"2"x\n', """, line 2: ',' expected after '"'"""),
    ],
)
def test_an_error_in_a_file_is_located(file: Path, text: str, message: str) -> None:
    file.write_bytes(text.encode())
    with pytest.raises(ValueError, match=f"^{re.escape(str(file) + message)}"):
        read_csv(file)


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
