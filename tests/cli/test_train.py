"""The command as a person runs it: a process, its output, its exit code, its files."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread


def command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m tinygrad_mlp`` of this checkout, run in ``cwd``."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tinygrad_mlp", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_without_a_dataset_it_trains_on_digits(tmp_path: Path) -> None:
    done = command("train", "--epochs", "3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "digits: 1,438 training rows, 359 test rows, target: 10 classes"
    assert [line.split("  ")[0] for line in lines[2:5]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert re.fullmatch(r"epoch 3/3( \w+ [\d.]+){4} [\d,]+ samples/s", " ".join(lines[4].split()))
    saved = "model.safetensors, history.json, curves.png, mistakes.png"
    assert lines[5].startswith(f"saved {saved} in ")
    assert re.fullmatch(r"train accuracy [01]\.\d{4}", lines[6])
    assert re.fullmatch(r"test accuracy [01]\.\d{4}", lines[7])
    assert float(lines[7].split()[-1]) > 0.9
    assert len(lines) == 8

    folder = tmp_path / "runs" / "digits"
    also = ["checkpoint.safetensors", "config.json"]
    assert sorted(os.listdir(folder)) == sorted([*saved.split(", "), *also])
    assert imread(folder / "mistakes.png").std() > 0.05, "there is something to see"
    height, width = imread(folder / "curves.png").shape[:2]
    assert height > 400
    assert width > 1200
    rows = json.loads((folder / "history.json").read_text())["epochs"]
    assert [row["epoch"] for row in rows] == [1, 2, 3]


def test_the_spiral_leaves_its_boundary_and_options_reach_it(tmp_path: Path) -> None:
    options = ("--epochs", "30", "--lr", "0.05", "--seed", "7", "--threads", "1", "--out", "here")
    done = command("train", "spiral", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    trained = done.stdout
    assert "AdamW, lr 0.05; 30 epochs, batch size 50, seed 7" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("test accuracy 0.9")
    assert imread(tmp_path / "here" / "boundary.png").shape[:2] == (960, 960)

    done = command("evaluate", "here", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("spiral: 300 test rows\nloss 0.")
    lines = done.stdout.splitlines()
    assert lines[2] == trained.splitlines()[-1]
    assert lines[4].split() == ["arm", "0", "arm", "1", "arm", "2"]
    counts = [[int(count) for count in line.split()[2:]] for line in lines[5:]]
    assert [sum(line) for line in counts] == [100] * 3
    right = sum(line[k] for k, line in enumerate(counts)) / 300
    assert lines[2] == f"test accuracy {right:.4f}"


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    def run(seed: int, threads: int, out: str) -> tuple[str, bytes]:
        done = command(
            "train",
            "--epochs",
            "2",
            "--seed",
            str(seed),
            "--threads",
            str(threads),
            "--out",
            out,
            cwd=tmp_path,
        )
        assert done.returncode == 0
        return done.stdout.splitlines()[-1], (tmp_path / out / "model.safetensors").read_bytes()

    first = run(1, 2, "a")
    assert run(1, 1, "b") == first
    assert run(2, 2, "c")[1] != first[1]


def test_without_matplotlib_it_trains_and_names_what_to_install(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "matplotlib"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError('No matplotlib here')\n")
    done = command(
        "train",
        "spiral",
        "--epochs",
        "1",
        "--out",
        "out",
        cwd=tmp_path,
        PYTHONPATH=os.pathsep.join([str(hidden.parent), os.environ["PYTHONPATH"]]),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no plots: " in done.stdout
    assert 'pip install "tinygrad-mlp[plot]"' in done.stdout
    assert done.stdout.splitlines()[-1].startswith("test accuracy ")
    assert sorted(os.listdir(tmp_path / "out")) == [
        "checkpoint.safetensors",
        "config.json",
        "history.json",
        "model.safetensors",
    ]


def test_version_and_help(tmp_path: Path) -> None:
    done = command("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert re.fullmatch(r"tinygrad-mlp \d+\.\d+\.\d+\S*\n", done.stdout)
    done = command("train", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in ("--epochs", "--lr", "--seed", "--threads", "--out", "digits", "spiral"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "spirl"], 1, "no dataset is called 'spirl'.* did you mean 'spiral'?"),
        (["train", "--epochs", "0"], 1, "epochs must be at least 1, got 0"),
        (["train", "--lr", "-1"], 1, "lr must be positive and finite, got -1"),
        (["train", "--threads", "0"], 1, "threads"),
        (["train", "--seed", "-4"], 1, "seed must be at least 0, got -4"),
        (["train", "--out", "taken/run"], 1, "cannot write to the folder 'taken/run'"),
        (["train", "--lr", "1e30", "--out", "out"], 1, r"the loss became \w+ in epoch 1, batch"),
        (["train", "--epochs", "many"], 2, "argument --epochs: invalid int value: 'many'"),
        (["train", "--momentum"], 2, "argument --momentum: expected one argument"),
        (["train", "--hidden", "8,x"], 2, "expected widths such as 512,128,64, got '8,x'"),
        (
            ["train", "--momentum", "0.9"],
            1,
            "adamw has no momentum; omit it \\(only sgd and rmsprop have one\\)",
        ),
        (["train", "none.csv"], 1, "No such file .*none.csv"),
        (["train", "--resume", "--out", "new"], 1, "new is not the folder of a run"),
        (["evaluate", "new"], 1, "new is not the folder of a run: it has no config.json"),
        ([], 2, "the following arguments are required: COMMAND"),
        (["fly"], 2, "invalid choice: 'fly'"),
    ],
)
def test_errors_are_a_line_and_a_code(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert re.search(message, done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert "epoch 1/" not in done.stdout, "it was refused before training"
    assert len(done.stderr.splitlines()) == 1
    assert re.match(r"tinygrad-mlp( \w+)?: error: ", done.stderr)
    assert "test accuracy" not in done.stdout


# A process started in the background ignores Ctrl-C, and hands that on to its children.
LISTENING = """
import signal, sys
from tinygrad_mlp.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["train", "--epochs", "100000", "--out", "out"]))
"""


def test_ctrl_c_ends_the_epoch_and_keeps_what_was_learned(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert any(line.startswith("epoch ") for line in process.stdout), "it never began"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    found = re.fullmatch(
        r"tinygrad-mlp: stopped after epoch (\d+); continue the run with --resume\n", errors
    )
    assert found
    out = tmp_path / "out"
    assert len(json.loads((out / "history.json").read_text())["epochs"]) == int(found[1])
    for picture in ("curves.png", "mistakes.png"):
        assert imread(out / picture).size
    assert (out / "model.safetensors").is_file()
    assert not [name for name in os.listdir(out) if name.startswith(".")], "nothing half-written"


def test_a_reader_who_leaves_does_not_end_the_training(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_mlp", "train", "xor", "--epochs", "60", "--out", "out"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("xor: ")
            process.stdout.close()
            assert process.wait(60) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        finally:
            process.kill()
    assert len(json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]) == 60


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = command("train", "spirl", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "ValueError: no dataset is called 'spirl'" in done.stderr
