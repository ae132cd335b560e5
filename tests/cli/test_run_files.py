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
