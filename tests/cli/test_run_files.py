"""Runs on the command line: what fits together, resuming, weights that cannot be right, pipes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_files import done, failed, flowers
from tests.cli.test_train import command
from tinygrad_mlp import serialization
from tinygrad_mlp.runs.run_folder import FILES


def test_what_does_not_fit_is_named_as_it_was_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flowers(tmp_path / "flowers.csv", 30)
    error = failed(capsys, "train", "flowers")
    assert error.endswith("no dataset is called 'flowers'; did you mean the file 'flowers.csv'?\n")
    for options, name in [
        (("--hidden", "8"), "--hidden"),
        (("--dropout", "0.5"), "--dropout"),
        (("--batch-norm",), "--batch-norm"),
        (("--activation", "relu"), "--activation"),
    ]:
        error = failed(capsys, "train", "xor", "--model", "linear", *options)
        assert error.endswith(f"no hidden layers with --model linear; omit {name}\n")
    done(capsys, "train", "xor", "--model", "linear", "--no-batch-norm", "--epochs", "1")
    # of two errors, the one in the data is told first
    message = "flowers.csv is called 'colr'"
    assert message in failed(
        capsys, "train", "flowers.csv", "--target", "colr", "--out", "runs/xor"
    )


def test_resume_needs_only_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flowers(tmp_path / "flowers.csv", 60)
    folder = tmp_path / "run"
    options = ("--missing", "drop", "--schedule", "constant", "--epochs", "2", "--lr", "0.01")
    done(capsys, "train", str(tmp_path / "flowers.csv"), *options, "--out", str(folder))
    weights = (folder / "model.safetensors").read_bytes()
    resume = ("train", "--resume", "--out", str(folder))
    finished = done(capsys, *resume)
    assert f"the run in {folder} is finished: nothing was left to train\n" in finished
    assert "saved" not in finished
    assert (folder / "model.safetensors").read_bytes() == weights
    longer = done(capsys, *resume, "--epochs", "3", "--lr", "0.01")
    assert "lr 0.01; 3 epochs (2 done)" in longer
    assert "saved model.safetensors" in longer
    assert "omit --hidden to continue it" in failed(capsys, *resume, "--hidden", "7")
    (folder / "checkpoint.safetensors").unlink()
    error = failed(capsys, *resume)
    assert error.endswith("so there is nothing to continue; train anew with --overwrite\n")


def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, rows = tmp_path / "run", tmp_path / "new.csv"
    done(capsys, "train", "xor", "--epochs", "1", "--out", str(folder))
    rows.write_text("1,1\n")
    arrays, metadata = serialization.read(folder / "model.safetensors")
    arrays["0.bias"][1] = np.nan
    serialization.write(arrays, folder / "model.safetensors", metadata)
    for arguments in (("evaluate", str(folder)), ("predict", str(folder), str(rows))):
        error = failed(capsys, *arguments)
        assert re.search(r"model\.safetensors: 0\.bias has values that are not finite", error)


def test_a_reader_of_predictions_may_leave(tmp_path: Path) -> None:
    """As in ``predict ... | head -1``, for more rows than a pipe holds, and for few."""
    assert command("train", "xor", "--epochs", "1", "--out", "run", cwd=tmp_path).returncode == 0
    for count in (20_000, 3):
        (tmp_path / "new.csv").write_text("1,-1\n" * count)
        with subprocess.Popen(
            [sys.executable, "-m", "tinygrad_mlp", "predict", "run", "new.csv"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            if count > 3:
                assert process.stdout.readline() == "prediction,p_same,p_different\n"
            process.stdout.close()
            assert (process.wait(60), process.stderr.read()) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_output_is_named(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "tinygrad_mlp", "datasets"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    message = "cannot write to standard output: No space left on device"
    assert (process.returncode, process.stderr) == (1, f"tinygrad-mlp: error: {message}\n")


def test_options_that_cannot_be_are_spelled_as_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flowers(tmp_path / "flowers.csv", 30)
    huge, most = str(1 << 63), (1 << 63) - 1
    for options, message in [
        (("--lr", "-1"), "--lr must be positive and finite, got -1"),
        (("--batch-size", "0"), "--batch-size must be at least 1, got 0; write --batch-size 64"),
        (("--batch-size", huge), f"--batch-size must be at most {most}, got {huge}; write "),
        (("--epochs", huge), f"--epochs must be at most {most}, got {huge}; write --epochs 20"),
        (("--early-stopping", "0"), "--early-stopping must be at least 1, got 0; write "),
        (("--clip-grad", "0"), "--clip-grad must be positive and finite, got 0"),
        (("--data-dir", "x"), "flowers.csv takes no --data-dir\n"),
        (("--ignore", "species"), "column 'species' is the target, so it cannot be ignored; "),
        (("--lr", "1e30"), "Lower the learning rate, clip the gradients, or scale the inputs\n"),
    ]:
        error = failed(capsys, "train", "flowers.csv", "--missing", "drop", *options)
        assert message in error
        assert error.startswith("tinygrad-mlp: error: ")
    done(capsys, "train", "xor", "--epochs", "1", "--out", "run")
    error = failed(capsys, "train", "flowers.csv", "--out", "run", "--resume")
    assert "; omit dataset to continue it" in error
    assert "--dataset" not in error


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_refused_before_training(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    (folder / name).mkdir(parents=True)
    for arguments in (
        ("train", "xor", "--out", str(folder)),
        ("train", "xor", "--out", str(folder), "--overwrite"),
        ("train", "--out", str(folder), "--resume"),
        ("evaluate", str(folder)),
    ):
        error = failed(capsys, *arguments)
        assert f"{folder / name} is a folder, but a run keeps a file there; move it away" in error
        assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("history.json", "is not a complete JSON file: .*, or delete it; --resume writes it anew"),
        ("model.safetensors", "is not a complete .*, or delete it; --resume writes it anew"),
        ("checkpoint.safetensors", "is not a complete .*delete it; then the run cannot be cont"),
        ("config.json", r"is not the config of a run: \w+ .*, or train anew with --overwrite$"),
    ],
)
def test_a_truncated_file_is_named_with_what_to_do(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    resume = ("train", "--resume", "--out", str(folder))
    done(capsys, "train", "xor", "--epochs", "1", "--out", str(folder))
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    for arguments in (("evaluate", str(folder)), resume):
        assert re.search(f"{re.escape(name)} {message}", failed(capsys, *arguments))
    if "--resume" in message:
        (folder / name).unlink()
        done(capsys, *resume)
        assert (folder / name).read_bytes() == whole
