"""The files of a run belong together: one run at a time writes them, and a mixture is refused."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.runs.test_resume import pressed
from tinygrad_mlp import serialization
from tinygrad_mlp.runs.experiment import Experiment, create_experiment
from tinygrad_mlp.runs.run_folder import CHECKPOINT, CONFIG, HISTORY, MODEL, open_run
from tinygrad_mlp.train import checkpoint
from tinygrad_mlp.train.callbacks import Callback
from tinygrad_mlp.train.exclusive import check_unlocked, exclusive, lock_path

GIVEN = {"epochs": 2, "hidden": (4,)}
IN_USE = rf"is in use: process {os.getpid()} on host {re.escape(socket.gethostname())} is training"


@pytest.fixture(autouse=True)
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Experiment, "_plot", lambda experiment: ([], ""))


def train(folder: Path, **settings) -> Path:
    create_experiment("xor", out=folder, **GIVEN | settings).run(progress=False)
    return folder


def test_a_second_run_into_a_folder_is_refused(tmp_path: Path) -> None:
    made_before = create_experiment("xor", out=tmp_path, overwrite=True, **GIVEN)
    refused = []

    class Others(Callback):
        def on_epoch_end(self, trainer) -> None:
            for start in (
                lambda: made_before.run(progress=False),
                lambda: create_experiment("xor", out=tmp_path, overwrite=True, **GIVEN),
                lambda: create_experiment("xor", out=tmp_path, resume=True, **GIVEN),
                lambda: create_experiment("moons", out=tmp_path, **GIVEN),
            ):
                with pytest.raises(BlockingIOError, match=IN_USE):
                    start()
                refused.append(start)

    first = create_experiment("xor", out=tmp_path, **GIVEN | {"seed": 1})
    object.__setattr__(first, "callbacks", (*first.callbacks, Others()))
    first.run(progress=False)
    assert len(refused) == 8
    assert open_run(tmp_path).config.settings.seed == 1
    assert not lock_path(tmp_path).exists()
    late = create_experiment("xor", out=tmp_path / "other", **GIVEN)
    train(tmp_path / "other")
    with pytest.raises(FileExistsError, match="already holds a run"):  # since it was created
        late.run(progress=False)


HOLD = """
import sys, time
from pathlib import Path
from tinygrad_mlp.train.exclusive import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            for refused in (lambda: exclusive(tmp_path).__enter__(), lambda: train(tmp_path)):
                with pytest.raises(BlockingIOError, match=f"process {holder.pid} on host"):
                    refused()
        finally:
            holder.kill()
    assert lock_path(tmp_path).is_file(), "it died with it"
    check_unlocked(tmp_path)
    lock_path(tmp_path).write_text(f"process {os.getppid()} on host x")  # an id that lives again
    temporary = tmp_path / f".{holder.pid}-{CHECKPOINT}"
    temporary.write_text("half")
    mine = tmp_path / ".7-notes.txt"
    mine.write_text("not of a run")
    train(tmp_path)
    assert not temporary.exists()
    assert mine.exists()
    assert not lock_path(tmp_path).exists()


@pytest.mark.parametrize("name", [MODEL, CHECKPOINT, HISTORY, CONFIG])
def test_files_of_two_runs_are_refused(tmp_path: Path, name: str) -> None:
    ours, other = train(tmp_path / "a"), train(tmp_path / "b", seed=1)
    shutil.copy(other / name, ours / name)
    second = MODEL if name == CONFIG else name
    message = f"a/{CONFIG} and .*a/{second} belong to different runs .*overwrite=True"
    with pytest.raises(ValueError, match=message):
        open_run(ours)
    settings = {"seed": 1} if name == CONFIG else {}
    with pytest.raises(ValueError, match=message):
        create_experiment("xor", out=ours, resume=True, **GIVEN | settings)
    other = train(tmp_path / "c")  # of the same settings and rows: it has the same weights
    if name == MODEL:
        shutil.copy(other / MODEL, ours / MODEL)
        open_run(ours)


def test_an_id_stays_with_a_run_that_gets_more_epochs(tmp_path: Path) -> None:
    given = GIVEN | {"schedule": "constant"}
    more = train(train(tmp_path / "a", **given), **given | {"resume": True, "epochs": 4})
    whole = train(tmp_path / "b", **given | {"epochs": 4})
    assert (more / MODEL).read_bytes() == (whole / MODEL).read_bytes()
    assert len(create_experiment(out=more, resume=True).history) == 4


def test_weights_that_cannot_be_right_are_refused(tmp_path: Path) -> None:
    folder = train(tmp_path)
    arrays, metadata = serialization.read(folder / MODEL)
    tree = checkpoint.read(folder / CHECKPOINT)
    nan = np.where(np.arange(4) == 2, np.float32(np.nan), arrays["0.bias"])
    for array, message in [
        (nan, r"0\.bias has values that are not finite"),
        (arrays["0.bias"].astype("float64"), r"0\.bias has dtype float64, the network .* float32"),
    ]:
        serialization.write(arrays | {"0.bias": array}, folder / MODEL, metadata)
        with pytest.raises(ValueError, match=rf"{MODEL}: {message}"):
            open_run(folder)
        state = {**tree, "model": tree["model"] | {"0.bias": tg.tensor(array)}}
        checkpoint.write(folder / CHECKPOINT, state, metadata)
        with pytest.raises(ValueError, match=rf"{CHECKPOINT}: {message}"):
            create_experiment("xor", out=folder, resume=True, **GIVEN)


def test_a_folder_without_its_files_says_what_to_do(tmp_path: Path) -> None:
    folder = train(tmp_path / "run")
    (folder / MODEL).unlink()
    with pytest.raises(FileNotFoundError, match="continue its training with resume=True"):
        open_run(folder)
    (folder / CHECKPOINT).unlink()
    with pytest.raises(FileNotFoundError, match="nothing to continue, train anew with overwrite="):
        open_run(folder)
    with pytest.raises(FileNotFoundError, match=r"not the folder of a run: it is a file"):
        open_run(folder / CONFIG)


def test_resuming_needs_only_the_folder(tmp_path: Path) -> None:
    given = GIVEN | {"epochs": 5, "lr": 0.05, "dropout": 0.2}
    full = train(tmp_path / "full", **given)
    pressed(create_experiment("xor", out=tmp_path / "stopped", **given), 2).run(progress=False)
    result = create_experiment(out=tmp_path / "stopped", resume=True).run(progress=False)
    assert result.trained == 2
    assert (full / MODEL).read_bytes() == (tmp_path / "stopped" / MODEL).read_bytes()
    again = create_experiment(out=full, resume=True, lr=0.05)
    assert again.settings.dropout == 0.2
    assert again.run(progress=False).trained == 0
    for typed, message in [
        ({"lr": 0.1}, r"lr=0\.05, not 0\.1; omit lr"),
        ({"epochs": 6}, "omit e"),
    ]:
        with pytest.raises(ValueError, match=message):
            create_experiment(out=full, resume=True, **typed)
    with pytest.raises(ValueError, match="began with dataset 'xor', not 'moons'"):
        create_experiment("moons", out=full, resume=True)
