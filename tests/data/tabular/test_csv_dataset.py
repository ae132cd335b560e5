from pathlib import Path

import numpy as np
import pytest

from tinygrad_mlp._common.random import generator
from tinygrad_mlp.data import csv, load, read_csv, split


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """90 rows of three species, with a name that means something, in columns of both kinds."""
    draw = generator(0, "flowers")
    lines = ["length,soil,width,species"]
    for row in range(90):
        species = row % 3
        length = 4 + species + draw.normal(0, 0.2)
        soil = ("sand", "loam", "clay, wet")[(species + int(draw.integers(2))) % 3]
        lines.append(f'{length:.3f},"{soil}",{draw.normal(2, 0.5):.3f},iris {"abc"[species]}')
    path = tmp_path / "flowers.csv"
    path.write_text("\r\n".join(lines), newline="")
    return path


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_becomes_two_parts(flowers: Path) -> None:
    dataset = csv(flowers)
    assert repr(dataset) == "Dataset('flowers', rows=72, features=5, classes=3, held_out=18)"
    train, test = split(dataset)
    assert train.classes == ("iris a", "iris b", "iris c")
    assert np.bincount(train.y).tolist() == [24, 24, 24]
    assert np.bincount(test.y).tolist() == [6, 6, 6]
    assert train.source == str(flowers)
    assert train.preprocessor.feature_names == (
        "length",
        "soil=clay, wet",
        "soil=loam",
        "soil=sand",
        "width",
    )


def test_only_training_rows_are_learned_from(flowers: Path) -> None:
    dataset = csv(flowers, seed=3)
    np.testing.assert_allclose(dataset.x[:, [0, 4]].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(dataset.x[:, [0, 4]].std(axis=0), 1, atol=1e-6)
    held_out = dataset.held_out.x[:, 0]
    assert abs(held_out.mean()) > 1e-4
    values = [float(cell) for cell in read_csv(flowers).column("length")]
    assert dataset.preprocessor.inputs[0].mean != np.mean(values)


def test_rows_go_with_their_targets_in_both_parts(flowers: Path) -> None:
    dataset = csv(flowers)
    for part in split(dataset):
        lengths = dataset.preprocessor.inputs[0].inverse_transform(part.x[:, 0])
        assert (np.abs(lengths - (4 + part.y)) < 1).all()


def test_the_seed_determines_the_split_which_is_optional(flowers: Path) -> None:
    assert (csv(flowers, seed=1).x == csv(flowers, seed=1).x).all()
    assert (csv(flowers, seed=1).x != csv(flowers, seed=2).x).any()
    full = csv(flowers, test=None)
    assert full.held_out is None
    assert len(full.y) == 90
    assert len(csv(flowers, test=0.5).held_out.y) == 45


def test_any_column_may_be_the_target(flowers: Path) -> None:
    widths = csv(flowers, target="width")
    assert widths.classes == ()
    assert widths.y.dtype == np.float32
    assert widths.preprocessor.inverse_transform(widths.y).mean() == pytest.approx(2, abs=0.2)
    assert (widths.y.mean(), widths.y.std()) == pytest.approx((0, 1), abs=1e-6), "its training rows"
    assert csv(flowers, target="soil").classes == ("clay, wet", "loam", "sand")
    with pytest.raises(ValueError, match=r"no column of .*s.csv is called 'specie'.*'species'\?"):
        csv(flowers, target="specie")


def test_load_chooses_the_loader_by_the_suffix(flowers: Path) -> None:
    assert (load(flowers, target="soil").x == csv(flowers, "soil").x).all()
    assert load(str(flowers)).name == "flowers"
    other = flowers.with_suffix(".TSV")
    other.write_text("a\tb\n" + "1\tx\n2\ty\n" * 5)
    assert load(other).classes == ("x", "y")


def test_the_task_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y", *(f"{row},{row % 2}" for row in range(20)))
    assert csv(path).classes == ("0", "1")
    values = csv(path, task="regression")
    assert values.classes == ()
    assert sorted(set(values.preprocessor.inverse_transform(values.y).round(6))) == [0, 1]
    path = write(tmp_path / "t.csv", "a,y", *(f"{row},{row % 2}.5" for row in range(20)))
    assert csv(path).classes == ()
    assert csv(path, task="classification").classes == ("0.5", "1.5")
    assert csv(path, categorical=["y"]).classes == ("0.5", "1.5")
    with pytest.raises(ValueError, match="task must be 'classification' or 'regression', got 'clu"):
        csv(path, task="cluster")


GAPS = (
    "age,city,y",
    *["20,Bern,a", "30,Bern,b", "40,Basel,a", "50,Basel,b"] * 5,
    "?,Bern,a",
    "60,,b",
)


@pytest.mark.parametrize("test", [None, 0.2])
def test_missing_values_are_refused_with_row_and_column(tmp_path: Path, test: float | None) -> None:
    path = write(tmp_path / "gaps.csv", *GAPS)
    message = r"gaps.csv, line 2[23], column '(age|city)': the value is missing.*'drop'"
    with pytest.raises(ValueError, match=message):
        csv(path, test=test)


def test_missing_values_are_filled_or_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "gaps.csv", *GAPS)
    for missing, age in (("mean", 36.19), ("median", 40.0)):
        dataset = csv(path, test=None, missing=missing)
        assert len(dataset.y) == 22
        age_column, city = dataset.preprocessor.inputs
        assert age_column.inverse_transform(dataset.x[20, 0]) == pytest.approx(age, abs=0.01)
        assert city.fill == "Bern"
        assert dataset.x[21, 1:].tolist() == [0, 1]
    dropped = csv(path, test=None, missing="drop")
    assert len(dropped.y) == 20
    assert csv(path, test=None, missing="drop", ignore=["age"]).x.shape == (21, 2)
    with pytest.raises(ValueError, match="the value is missing"):
        dropped.preprocessor.x(read_csv(path))
    with pytest.raises(ValueError, match="no value of missing is called 'zero'; the names are"):
        csv(path, missing="zero")
    with pytest.raises(ValueError, match="each of the 1 rows has a missing value"):
        csv(write(tmp_path / "t.csv", "a,y", ",1"), missing="drop")


def test_a_missing_target_is_refused_or_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y", *["1,x", "2,y"] * 5, "3,")
    with pytest.raises(ValueError, match=r"t.csv, line 12, column 'y': the value is missing"):
        csv(path, missing="mean")
    assert len(csv(path, test=None, missing="drop").y) == 10


def test_a_name_met_once_is_learned_from(tmp_path: Path) -> None:
    lines = [f"{row},{'rare' if row == 7 else 'common'},{row % 2}" for row in range(20)]
    path = write(tmp_path / "t.csv", "a,b,y", *lines)
    held_out = 0
    for seed in range(20):
        dataset = csv(path, test=0.5, seed=seed)
        assert dataset.preprocessor.inputs[1].classes == ("common", "rare")
        assert len(dataset.y) + len(dataset.held_out.y) == 20
        held_out += len(dataset.held_out.y) == 10
    assert 0 < held_out < 20, "the row was drawn to be held out by some seeds, and went back"


def test_a_column_that_numbers_the_rows_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv", "id,b,y", *(f"r{row},{row / 7},{row % 2}" for row in range(20))
    )
    message = (
        r"t.csv: column 'id' has 20 different values in 20 rows, and 4 of the 4 .* ignore=\['id'\]"
    )
    with pytest.raises(ValueError, match=message):
        csv(path)
    assert csv(path, ignore=["id"]).x.shape == (16, 1)


def test_unseen_names_of_two_columns_go_back_to_the_training_rows(tmp_path: Path) -> None:
    """Each column has a name that one row alone has; the rows differ."""
    lines = [
        f"{'lime' if row == 3 else 'red'},{'Chur' if row == 8 else 'Bern'},{row % 2}"
        for row in range(20)
    ]
    path = write(tmp_path / "t.csv", "colour,city,y", *lines)
    moved = set()
    for seed in range(40):
        train, test = split(csv(path, test=0.5, seed=seed))
        colour, city = train.preprocessor.inputs
        assert (colour.classes, city.classes) == (("lime", "red"), ("Bern", "Chur"))
        assert train.preprocessor.feature_names[1:3] == ("colour=red", "city=Bern")
        assert train.x[:, 0].sum() == train.x[:, 3].sum() == 1, "lime and Chur, once each"
        assert not test.x[:, [0, 3]].any()
        assert len(train.y) + len(test.y) == 20
        moved.add(10 - len(test.y))
    assert moved == {0, 1, 2}, "neither row, one, or both had been drawn for testing"


def test_a_column_of_names_that_leaves_little_to_test_with_is_named(tmp_path: Path) -> None:
    dates = [f"2024-{1 + row % 12:02}-{1 + row % 25:02}" for row in range(100)]
    lines = [f"{date},{row / 7},{row % 2}" for row, date in enumerate(dates[:90] + dates[:10])]
    path = write(tmp_path / "t.csv", "date,b,y", *lines)
    message = r"column 'date' has 90 different values in 100 rows, and 1\d of the 20 test rows have"
    with pytest.raises(ValueError, match=message):
        csv(path)
    assert len(csv(path, ignore=["date"]).held_out.y) == 20


def test_commas_in_numbers_are_refused_rather_than_taken_for_names(tmp_path: Path) -> None:
    for cell in ("{},5", '"{},000"', "-{},25"):
        delimiter = "," if '"' in cell else ";"
        rows = [f"{cell.format(row % 9)}{delimiter}{row % 2}" for row in range(40)]
        path = write(tmp_path / "t.csv", f"a{delimiter}y", *rows)
        with pytest.raises(ValueError, match=r"line 2, column 'a': '-?0,.*' is not a n.*point"):
            csv(path)
        with pytest.raises(ValueError, match=r"column 'a': '.*' is not a number"):
            csv(path, target="a")
        assert csv(path, categorical=["a"]).x.shape[1] == 9


def test_a_column_that_is_asked_for_is_in_the_header(tmp_path: Path) -> None:
    lines = [f"{row},{row / 7},{'ab'[row % 2]}" for row in range(20)]
    path = write(tmp_path / "t.csv", "2019,2020,label", *lines)
    assert csv(path, target="label").preprocessor.column_names == ("2019", "2020")
    assert csv(path, ignore=["2019"], target="label").x.shape[1] == 1


def test_one_name_is_not_taken_for_its_letters(flowers: Path) -> None:
    for option in ("ignore", "categorical"):
        message = rf"{option} must be a list of names, got 'soil'; write {option}=\['soil'\]"
        with pytest.raises(TypeError, match=message):
            csv(flowers, **{option: "soil"})


def test_a_class_of_one_row_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y", *["1,x", "2,y"] * 5, "3,z")
    with pytest.raises(
        ValueError, match=r"t.csv, line 12, column 'y': class 'z' has only this row"
    ):
        csv(path)
    assert csv(path, test=None).classes == ("x", "y", "z")


def test_a_class_may_be_held_out_altogether(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y", *["1,x", "2,y"] * 2)
    for seed in range(10):
        assert csv(path, test=0.75, seed=seed).classes == ("x", "y")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,y", "1,x", "2"], "line 3: expected 2 cells"),
        (["a,y", *["1,x", "2,y"] * 9, "five,x"], "line 20, column 'a': 'five' is not a f"),
        (["a,y", *["1,0.5", "2,1.5"] * 9, "3,x"], "line 20, column 'y': 'x' is not a f"),
        (["y", *["1", "0"] * 5], "has no input column besides the target 'y'"),
        (["a,y", *["1,x", "2,x"] * 5], "column 'y': each row has the class 'x'; a classifier"),
        (["a,y", "1,0.5"], r"t\.csv: test=0.2 of 1 rows leaves one part empty; more rows"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        csv(write(tmp_path / "t.csv", *lines))


def test_read_options_arrive(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\n".join(["é/x", "è/y"] * 5).encode("cp1252"))
    dataset = csv(path, delimiter="/", header=False, encoding="cp1252", categorical=["column 1"])
    assert dataset.preprocessor.feature_names == ("column 1=è", "column 1=é")
