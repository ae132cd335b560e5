"""A person's own table: trained on, evaluated, predicted from; each command a process."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tests.cli.test_train import command
from tinygrad_mlp import serialization
from tinygrad_mlp.cli import _with_options, main
from tinygrad_mlp.runs.run_folder import open_run

COLOURS = ("red", "blue", "white")
SPECIES = ("iris", "rose", "lily")


def flowers(path: Path, rows: int = 240) -> None:
    """A table with numbers, names, and a missing value here and there."""
    draw = np.random.default_rng(0)
    lines = ["length,width,colour,species"]
    for row in range(rows):
        kind = row % 3
        length = "" if row % 40 == 7 else f"{5 + 2 * kind + draw.normal() / 2:.2f}"
        colour = COLOURS[kind if draw.random() < 0.8 else draw.integers(3)]
        lines.append(f"{length},{1 + draw.normal() / 3:.2f},{colour},{SPECIES[kind]}")
    path.write_text("\n".join(lines) + "\n")


def rents(path: Path, rows: int = 240) -> None:
    """rent = 400 + 18 area + what the city adds, and noise of deviation 40."""
    draw = np.random.default_rng(0)
    lines = ["rent;area;city"]
    for _ in range(rows):
        area, city = draw.uniform(20, 120), draw.integers(2)
        rent = 400 + 18 * area + 300 * city + 40 * draw.normal()
        lines.append(f"{rent:.2f};{area:.1f};{('Chur', 'Bern')[city]}")
    path.write_text("\n".join(lines) + "\n")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The output of a command that must succeed, in this process."""
    code = main(arguments)
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    return printed.out


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that must fail, in this process."""
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("tinygrad-mlp: error: ")
    assert not re.search(r"\w=(True|False|None|['\"\[\d])", error), f"Python's form: {error}"
    return error


def test_three_commands_for_a_table_of_classes(tmp_path: Path) -> None:
    flowers(tmp_path / "flowers.csv")
    trained = command("train", "flowers.csv", "--missing", "median", "--epochs", "20", cwd=tmp_path)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert trained.stdout.startswith(
        "flowers: 192 training rows, 48 test rows, target: 'species', 3 classes\n"
    )
    accuracy = float(trained.stdout.split()[-1])
    assert accuracy > 0.9

    measured = command("evaluate", "runs/flowers", cwd=tmp_path)
    assert (measured.returncode, measured.stderr) == (0, "")
    assert measured.stdout.startswith("flowers: 48 test rows\n")
    assert f"\ntest accuracy {accuracy:.4f}\n" in measured.stdout
    assert measured.stdout.splitlines()[-3].startswith("iris ")

    out = ("--out", "predictions.csv")
    printed = command("predict", "runs/flowers", "flowers.csv", *out, cwd=tmp_path)
    assert (printed.returncode, printed.stdout) == (0, "wrote 240 rows to predictions.csv\n")
    found = table(tmp_path / "predictions.csv")
    assert list(found[0]) == ["prediction", "p_iris", "p_lily", "p_rose"]
    for row in found:
        chances = {name: float(row[f"p_{name}"]) for name in SPECIES}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == max(chances, key=chances.__getitem__)
    right = [row["prediction"] == SPECIES[k % 3] for k, row in enumerate(found)]
    assert np.mean(right) > 0.9


def test_a_table_of_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rents(tmp_path / "rents.csv")
    folder, out = str(tmp_path / "run"), tmp_path / "values.csv"
    options = ("--target", "rent", "--early-stopping", "15", "--out", folder, "--epochs", "120")
    trained = done(capsys, "train", str(tmp_path / "rents.csv"), *options)
    best, count = map(
        int, re.search(r"weights of epoch (\d+), the best of (\d+)", trained).groups()
    )
    assert 1 < best <= count <= 120
    assert "173 training rows, 48 test rows, target: 'rent', numeric\n" in trained, (
        "19 are for validation"
    )
    error = float(re.search(r"test rmse ([\d.]+)", trained)[1])
    assert 25 < error < 80, "in francs: the noise is 40"
    assert float(re.search(r"test r2 ([\d.]+)", trained)[1]) > 0.98
    assert trained.splitlines()[-1] in done(capsys, "evaluate", folder)

    assert "wrote 240 rows to" in done(
        capsys, "predict", folder, str(tmp_path / "rents.csv"), "--out", str(out)
    )
    values = np.array([float(row["rent"]) for row in table(out)])
    lines = (tmp_path / "rents.csv").read_text().splitlines()[1:]
    wanted = np.array([float(line.split(";")[0]) for line in lines])
    assert math.sqrt(np.mean((values - wanted) ** 2)) == pytest.approx(error, rel=0.4)
    printed = done(capsys, "predict", folder, str(tmp_path / "rents.csv"))
    assert printed == out.read_text(), "without --out it is printed"


def test_options_say_what_columns_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an error advises can be typed: as an option, not as an argument of Python's."""
    draw, path = np.random.default_rng(0), str(tmp_path / "people.csv")
    lines = [f"{k},{8000 + k % 3},Zoë {k},{draw.normal():.2f},{k % 4}" for k in range(60)]
    (tmp_path / "people.csv").write_bytes("\n".join(["n,code,né,v,y", *lines]).encode("cp1252"))
    options = ("train", path, "--epochs", "1", "--out", str(tmp_path / "run"))
    assert failed(capsys, *options).endswith("; write --encoding cp1252 for files from Windows\n")
    options += ("--encoding", "cp1252")
    assert failed(capsys, *options).endswith("; write --ignore 'né'\n")
    options += ("--ignore", "né", "--ignore", "n")
    assert "target: 'y', 4 classes" in done(capsys, *options)
    options += ("--categorical", "code", "--task", "regression", "--clip-grad", "1")
    assert "target: 'y', numeric" in done(capsys, *options, "--overwrite")
    header = done(capsys, "predict", str(tmp_path / "run"), path).splitlines()[0]
    assert header == "y", "the file is read as the first one was"
    (tmp_path / "utf8.csv").write_text("code,v,né\n8000,1.5,Zoë\n8001,,ö\n", encoding="utf-8")
    other = (str(tmp_path / "run"), str(tmp_path / "utf8.csv"), "--encoding", "utf-8")
    for name in ("predict", "evaluate"):
        assert "line 3, column 'v': the value is missing; complete" in failed(capsys, name, *other)
    wrong = (*other[:-1], "ascii")
    assert "utf8.csv, line 1: byte 8 is not ascii: ordinal" in failed(capsys, "predict", *wrong)
    run = open_run(tmp_path / "run")
    assert run.preprocessor.feature_names == ("code=8000", "code=8001", "code=8002", "v")
    message = "class_weight needs classes, but the target"
    assert message in failed(capsys, *options, "--class-weight", "balanced", "--overwrite")
    message = "began with --lr 0.003, not 0.5; omit --lr to"
    assert message in failed(capsys, *options, "--resume", "--lr", "0.5")


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("write resume=True to continue it", "write --resume to continue it"),
        ("write ignore=['a b', 'c']", "write --ignore 'a b' --ignore c"),
        ('write ignore=["it\'s"]', """write --ignore 'it'"'"'s'"""),
        ("write ignore=['a]b']", "write ignore=['a]b']"),
        (
            "write data_dir=... or lr=0.1, or batch_size=3",
            "write --data-dir ... or --lr 0.1, or --batch-size 3",
        ),
        ("no folder 'runs/lr=0.1' or test=None", "no folder 'runs/lr=0.1' or test=None"),
    ],
)
def test_arguments_are_rewritten_as_options(text: str, typed: str) -> None:
    assert _with_options(text, ("ignore", "data_dir", "lr", "batch_size", "resume")) == typed


def test_what_cannot_be_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none = str(tmp_path / "none.csv")
    assert failed(capsys, "train", none).endswith(f": No such file or directory: {none!r}\n")
    done(capsys, "train", "xor", "--epochs", "1", "--out", str(tmp_path))
    (tmp_path / "new.csv").write_text("1,2\n")
    printed = failed(
        capsys, "predict", str(tmp_path), str(tmp_path / "new.csv"), "--out", str(tmp_path)
    )
    assert printed == f"tinygrad-mlp: error: Is a directory: {str(tmp_path)!r}\n"


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_old_run_is_not_overwritten_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    options = ("train", "xor", "--epochs", "2", "--out", str(folder))
    folder.mkdir()
    (folder / "notes.txt").write_text("my own file")
    done(capsys, *options)
    before = contents(folder)
    assert "notes.txt" in before, "a folder may hold other files"
    for changed in ([], ["--seed", "1"], ["--epochs", "3"]):
        assert failed(capsys, *options, *changed) == (
            f"tinygrad-mlp: error: {folder} already holds a run: use --resume to continue it, "
            "--overwrite to replace it, or choose another folder\n"
        )
    assert "resume and overwrite exclude" in failed(capsys, *options, "--resume", "--overwrite")
    assert contents(folder) == before
    done(capsys, *options, "--resume")
    done(capsys, *options, "--overwrite", "--seed", "1")
    after = contents(folder)
    assert after.keys() == before.keys()
    assert after["notes.txt"] == before["notes.txt"]
    assert after["model.safetensors"] != before["model.safetensors"]


@pytest.mark.parametrize(
    "name", ["config.json", "history.json", "curves.png", "train/events.out.tfevents.1"]
)
def test_a_file_that_a_run_would_replace_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("not of a run")
    options = ("train", "xor", "--epochs", "1", "--out", str(tmp_path))
    assert failed(capsys, *options).endswith(
        f" already holds {name}: use --overwrite to replace it, or choose another folder\n"
    )
    assert contents(tmp_path) == {name: b"not of a run"}
    done(capsys, *options, "--overwrite")
    assert contents(tmp_path).get(name) != b"not of a run"


def test_predictions_do_not_overwrite_a_file_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done(capsys, "train", "xor", "--epochs", "1", "--out", str(tmp_path / "run"))
    rows = tmp_path / "rows.csv"
    rows.write_text("1,1\n-1,1\n")
    options = ("predict", str(tmp_path / "run"), str(rows))
    for out in (rows, tmp_path / "run" / "config.json"):
        before = contents(tmp_path)
        error = failed(capsys, *options, "--out", str(out))
        assert error == f"tinygrad-mlp: error: {out} exists: use --overwrite to replace it\n"
        assert contents(tmp_path) == before
    out = tmp_path / "predictions.csv"
    out.write_text("old")
    assert "wrote 2 rows" in done(capsys, *options, "--out", str(out), "--overwrite")
    assert [row["prediction"] in ("same", "different") for row in table(out)] == [True, True]


def test_errors_of_predict_describe_the_wrong_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rents(tmp_path / "rents.csv", 60)
    folder = str(tmp_path / "run")
    done(
        capsys,
        "train",
        str(tmp_path / "rents.csv"),
        "--target",
        "rent",
        "--epochs",
        "1",
        "--out",
        folder,
    )
    new, out = tmp_path / "new.csv", tmp_path / "values.csv"
    for text, message in [
        ("area,city\n50,Genf\n", r"new\.csv, line 2, column 'city'.*'Genf'"),
        ("area\n50\n", "city"),
        ("area,city\nlarge,Bern\n", r"line 2, column 'area'.*'large'"),
        ("area,city\n50,Bern,7\n", "line 2: expected 2 cells"),
        (
            'area,city\n50,"Bern\n7,Chur\n',
            r"line 2, column 2: the quote at .* is not closed; write",
        ),
        (
            "area,city\n50,\n",
            r"line 2, column 'city': the value is missing; complete it, or delete",
        ),
        ("area,city\n,Bern\n", r"missing inputs are filled if .* trained with --missing mean\n"),
        ("area,city\n5a,Bern\n", r"'5a' is not .*, or train with --categorical area if the column"),
        ("area,city\n50,Gen\0f\n", r"line 2: a NUL .*, or write --encoding utf-16-le if the file"),
    ]:
        new.write_text(text)
        error = failed(capsys, "predict", folder, str(new), "--out", str(out))
        assert re.search(message, error), error
        assert not out.exists(), "nothing half-written"
    assert not (tmp_path / "run" / "surface.png").exists(), "area and city do not span a plane"
    (tmp_path / "rents.csv").write_text("rent;area;city\n" + "1;2;Chur\n3;4;Bern\n" * 30)
    assert "has changed since" in failed(capsys, "evaluate", folder)
    (tmp_path / "rents.csv").rename(tmp_path / "moved.csv")
    assert "rents.csv does not exist any more, so" in failed(capsys, "evaluate", folder)
    assert "60 rows\n" in done(capsys, "evaluate", folder, str(tmp_path / "moved.csv"))
    new.write_text("area,city\n50,Bern\n")
    (tmp_path / "taken").write_text("a file, not a folder")
    where = str(tmp_path / "taken" / "values.csv")
    error = failed(capsys, "predict", folder, str(new), "--out", where)
    assert "cannot write to the folder" in error
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "it is not the config of a run" in failed(capsys, "evaluate", folder)


def test_what_cannot_be_a_network_or_its_output_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, rows = tmp_path / "run", tmp_path / "rows.csv"
    done(capsys, "train", "xor", "--epochs", "1", "--hidden", "3", "--out", str(folder))
    rows.write_text("1,1\n-1,1e30\n")
    config = json.loads((folder / "config.json").read_text())
    for name, value, message in (
        ("l2", 10**400, "is not the config of a run: OverflowError"),
        ("hidden", [10**15], "config.json: its network cannot be built"),
        ("hidden", [10**30], "is not the config of a run: hidden must be at most"),
    ):
        changed = config | {"settings": config["settings"] | {name: value}}
        (folder / "config.json").write_text(json.dumps(changed))
        assert message in failed(capsys, "predict", str(folder), str(rows))
    (folder / "config.json").write_text(json.dumps(config))
    weights, metadata = serialization.read(folder / "model.safetensors")
    large = {name: values * np.float32(1e10) for name, values in weights.items()}
    serialization.write(large, folder / "model.safetensors", metadata)
    error = failed(capsys, "predict", str(folder), str(rows))
    assert "rows.csv: the network's output for row 2 of the data is not finite; the values" in error


def test_arrays_that_are_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    y = np.arange(120) % 2
    x = draw.integers(0, 100, size=(120, 6, 5)).astype(np.uint8)
    x[y == 1, :, 2] += 120  # a bar
    np.savez(tmp_path / "bars.npz", x=x, y=np.array(["none", "bar"])[y])
    folder = tmp_path / "run"
    done(capsys, "train", str(tmp_path / "bars.npz"), "--epochs", "15", "--out", str(folder))
    picture = imread(folder / "mistakes.png")
    assert picture.shape[:2] == (1024, 1248)
    assert 0.05 < (picture[..., :3].min(axis=2) < 0.5).mean() < 0.5
    np.savez(tmp_path / "new.npz", x=x[:3])
    found = done(capsys, "predict", str(folder), str(tmp_path / "new.npz")).splitlines()
    assert [line.split(",")[0] for line in found] == ["prediction", "none", "bar", "none"]
    lines = [",".join(map(str, row)) for row in x[:3].reshape(3, -1).tolist()]
    (tmp_path / "new.csv").write_text("\n".join(lines))
    assert found == done(capsys, "predict", str(folder), str(tmp_path / "new.csv")).splitlines()
    (tmp_path / "new.csv").write_text("u,v\n1,2\n")
    assert "new.csv has 2 columns besides the target 'y', but the network takes 30" in failed(
        capsys, "predict", str(folder), str(tmp_path / "new.csv")
    )
    (tmp_path / "run" / "model.safetensors").unlink()
    assert "continue its training with --resume" in failed(capsys, "evaluate", str(folder))


def test_a_line_does_not_part_the_spiral(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = done(capsys, "train", "spiral", "--model", "linear", "--out", str(tmp_path / "a"))
    assert 0.4 < float(printed.split()[-1]) < 0.62
    printed = done(capsys, "train", "spiral", "--out", str(tmp_path / "b"))
    assert float(re.search(r"train accuracy ([\d.]+)", printed)[1]) >= 0.99


def test_summaries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = command("summary", "--hidden", "512,128,64", "--batch-norm", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(
        r"total parameters +479,306\ntrainable +477,898\nnot .* 1,408\n", result.stdout
    )
    assert "1 BatchNorm1d  (N, 512)" in result.stdout
    folder = str(tmp_path / "run")
    done(capsys, "train", "xor", "--epochs", "1", "--hidden", "5", "--out", folder)
    assert "total parameters  27\n" in done(capsys, "summary", folder)
    assert f"{folder} already determines the network; omit --hidden" in failed(
        capsys, "summary", folder, "--hidden", "3"
    )
    assert "inputs must be at least 1, got 0; write --inputs 784" in failed(
        capsys, "summary", "--inputs", "0"
    )
    other = done(capsys, "summary", "--model", "linear", "--inputs", "4", "--outputs", "3")
    assert "total parameters  15\n" in other


def test_datasets_are_all_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from tinygrad_mlp.data import DATASETS

    names = [line.split()[0] for line in done(capsys, "datasets").splitlines()]
    assert names == [*DATASETS, "FILE"]


def test_settings_that_make_no_sense_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for option, value, message in [
        ("--activation", "rleu", "no activation is called 'rleu'.* did you mean 'relu'"),
        ("--optimizer", "adan", "no optimizer is called 'adan'.* did you mean 'adam'"),
        ("--schedule", "sine", "no schedule is called 'sine'.* did you mean 'cosine'"),
        ("--dropout", "1", "error: --dropout must be from 0 to below 1, got 1"),
        ("--l2", "nan", "error: --l2 must be 0 or more, got nan"),
        ("--hidden", "8,0", "error: --hidden must be at least 1, got 0"),
        ("--early-stopping", "0", "error: --early-stopping must be at least 1"),
        ("--momentum", "7", "error: --momentum must be from 0 to below 1, got 7"),
        ("--clip-grad", "0", "error: --clip-grad must be positive and finite, got 0"),
        ("--data-dir", "x", r"xor takes no --data-dir\n$"),
        ("--ignore", "x", r"xor takes no --ignore\n$"),
        ("--target", "x", r"xor takes no --target\n$"),
    ]:
        assert re.search(message, failed(capsys, "train", "xor", option, value)), option
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
def test_mnist_by_its_recipe(
    tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = done(
        capsys, "train", "mnist", "--data-dir", str(data_folder / "mnist"), "--out", str(tmp_path)
    )
    assert float(found.split()[-1]) >= 0.98
