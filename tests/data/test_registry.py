"""Datasets by name, and files by their suffix."""

from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from tinygrad_mlp.cli import main
from tinygrad_mlp.data import (
    DATASETS,
    FILES,
    Dataset,
    Entry,
    Preprocessor,
    digits,
    load,
    load_parts,
    moons,
    read_dataset,
    read_inputs,
    split,
)
from tinygrad_mlp.runs import Settings


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("height,city,tall\n" + "150,Bern,no\n190,Basel,yes\n" * 20)
    return path


def line(points: int = 50, seed: int = 0) -> Dataset:
    """Points on a line; the right half is class 1."""
    x = np.random.default_rng(seed).uniform(-1, 1, (points, 1)).astype(np.float32)
    return Dataset("line", x, (x[:, 0] > 0).astype(np.int64), ("left", "right"))


def test_a_dataset_is_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, options = dict(hidden=(4,), epochs=3), dict(points=80, test=0.5)
    entry = Entry(line, "points on a line", settings, options)
    monkeypatch.setitem(DATASETS, "line", entry)
    assert load("line", points=20).x.shape == (20, 1)
    assert main(["datasets"]) == 0
    assert "\nline           points on a line\n" in capsys.readouterr().out
    assert main(["train", "line", "--seed", "2", "--out", str(tmp_path)]) == 0
    trained = capsys.readouterr().out
    assert trained.startswith("line: 40 training rows, 40 test rows, target: 2 classes\n")
    assert "model: 18 parameters; AdamW, lr 0.003; 3 epochs, batch size 64, seed 2\n" in trained
    assert main(["evaluate", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("line: 40 test rows\n")
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "fashion_mnist, line, or" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", DATASETS)
def test_the_training_settings_of_each_entry_are_valid(name: str) -> None:
    assert Settings.for_dataset(name).dataset == name
    assert DATASETS[name].description
    assert set(DATASETS[name].options) <= {"test", *signature(DATASETS[name].load).parameters}


def test_parts_are_drawn_by_the_seed() -> None:
    train, test = load_parts("moons", seed=3)
    expected = split(moons(seed=3), seed=3)
    assert (train.x == expected[0].x).all()
    assert (test.x == expected[1].x).all()
    assert len(load_parts("moons", test=0.5, points=10)[1].y) == 10


def test_parts_of_a_dataset_that_is_not_drawn() -> None:
    train, test = load_parts("digits", seed=3)
    assert (test.x == split(digits(), 0.2, seed=3)[1].x).all()
    assert (len(train.y), len(test.y)) == (1438, 359)


def test_a_file_is_divided_before_it_is_prepared(people: Path) -> None:
    options = {"target": "height", "task": "regression", "missing": "mean"}
    train, test = load_parts(people, test=0.5, seed=1, **options)
    assert (len(train.y), len(test.y)) == (20, 20)
    assert train.y.mean() == pytest.approx(0, abs=1e-6)
    assert (train.x == load(people, test=0.5, seed=1, **options).x).all()


def test_an_option_that_a_dataset_does_not_have_is_named(people: Path) -> None:
    with pytest.raises(ValueError, match=r"no option of spiral is called 'arm'; .* are: arms,"):
        load("spiral", arm=3)
    with pytest.raises(ValueError, match=r"no option of people.csv is called 'targt'.*'target'\?"):
        load_parts(people, targt="height")
    with pytest.raises(ValueError, match="no option of digits is called 'data_dir'"):
        load_parts("digits", data_dir=".")
    with pytest.raises(ValueError, match=r"it has none\. For target=... name a .csv or .npz file"):
        load_parts("digits", target="species")


def test_later_rows_are_prepared_as_the_first_were(people: Path, tmp_path: Path) -> None:
    train, _ = load_parts(people)
    preprocessor = Preprocessor.from_json(train.preprocessor.to_json())
    new = tmp_path / "new.csv"
    new.write_text("city,height\nBasel,170\n")
    x = read_inputs(new, preprocessor)
    assert x.tolist() == [[0.0, 1.0, 0.0]]
    with pytest.raises(
        ValueError, match=r"no column of .*new.csv is called 'tall'; the names are: city, h"
    ):
        read_dataset(new, preprocessor)
    new.write_text("city;height;tall\nBasel;170;no\nBern;150;yes\n")
    dataset = read_dataset(new, preprocessor)
    assert (dataset.name, dataset.classes, dataset.y.tolist()) == ("new", ("no", "yes"), [0, 1])
    assert (dataset.x[:1] == x).all()


def test_later_arrays_are_scaled_as_the_first_were(tmp_path: Path) -> None:
    path, pictures = tmp_path / "pictures.npz", np.full((3, 8, 8), 16, np.uint8)
    np.savez(path, x=pictures, y=[3, 1, 4])
    assert (read_inputs(path, digits().preprocessor) == 1).all()
    dataset = read_dataset(str(path), digits().preprocessor)
    assert dataset.y.tolist() == [3, 1, 4]
    assert (dataset.x == 1).all()
    np.savez(path, x=pictures, y=[3, 10, 4])
    with pytest.raises(
        ValueError, match=r"row 1, column 'y': '10' does not occur in the training rows"
    ):
        read_dataset(path, digits().preprocessor)
    wide = np.full((3, 64), 1.5)
    wide[2, 7] = 1e300
    np.savez(path, x=wide, y=[3, 1, 4])
    message = r"pictures\.npz: 1e\+300 in row 2, feature 7: too far from the training rows for fl"
    for read in (read_inputs, read_dataset):
        with pytest.raises(ValueError, match=message):
            read(path, digits().preprocessor)
    np.savez(path, x=pictures[:, 1:], y=[3, 1, 4])
    with pytest.raises(ValueError, match=r"x must be \(rows, 64\), as in the training rows"):
        read_inputs(path, digits().preprocessor)


def test_what_is_learned_from_a_table_is_not_asked_of_arrays(people: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"x\.npz: expected a table with the columns height, city"):
        read_inputs(path, load(people).preprocessor)


def test_a_table_may_hold_the_rows_of_arrays(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(5, 3, size=(30, 3)), np.arange(30) % 2
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["no", "yes"])[y])
    dataset = load(tmp_path / "a.npz", test=None)
    preprocessor, path = dataset.preprocessor, tmp_path / "rows.csv"
    path.write_text("\n".join(",".join(map(repr, row)) for row in x.tolist()))
    assert (read_inputs(path, preprocessor) == dataset.x).all(), "to the bit, without a header too"
    lines = [
        f"{a!r},{['no', 'yes'][t]},{b!r},{c!r}" for (a, b, c), t in zip(x.tolist(), y, strict=True)
    ]
    path.write_text("\n".join(["u,y,v,w", *lines]))
    again = read_dataset(path, preprocessor)
    assert (again.x == dataset.x).all()
    assert (again.y == dataset.y).all()
    for text, message in [
        ("u,v\n1,2\n", r"rows.csv has 2 columns besides the target 'y', but .* takes 3 features"),
        ("u,v,w\n1,2,\n", "line 2, column 'w': the value is missing"),
        ("u,v,w\n1,b,3\n", "line 2, column 'v': 'b' is not a finite number"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_inputs(path, preprocessor)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    assert list(FILES) == [".csv", ".tsv", ".npz"]
    with pytest.raises(
        ValueError, match=r"no kind of file is called '.txt'; the names are: .csv, .tsv"
    ):
        read_inputs(tmp_path / "a.txt", digits().preprocessor)
    with pytest.raises(ValueError, match=r"no kind of file is called '.xlsx'; the names are: .csv"):
        load("table.xlsx")
    with pytest.raises(FileNotFoundError, match=r"nowhere.csv"):
        load(tmp_path / "nowhere.csv")
