"""Kinds of training runs, each in a process of its own, that can be killed and resumed.

A run is a command and a folder. It ends with a `MODEL` and a `CHECKPOINT` in the folder; `result`
returns their content without the times, so that two runs can be compared bit for bit.
"""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp.train import checkpoint

MODEL, CHECKPOINT, CONFIG = "model.safetensors", "checkpoint.safetensors", "config.json"
PARTS = ("model", "optimizer", "scheduler", "history", "callbacks", "rng")
TIMES = ("seconds", "samples_per_second")


def count(name: str, default: int) -> int:
    """Return a test's count: that of ``TINYGRAD_MLP_SOAK_<name>``, or the full one."""
    return int(os.environ.get(f"TINYGRAD_MLP_SOAK_{name}", default))


# Seconds after which a process is taken to hang; a busy machine may need more.
TIMEOUT = count("TIMEOUT", 3600)


@dataclass(frozen=True)
class Kind:
    """One kind of run: the options of ``train``, or a script that takes the folder."""

    options: tuple[str, ...] = ()
    script: str = ""

    def command(self, folder: Path, *, resume: bool) -> list[str]:
        """Return the command that starts the run in ``folder``, or resumes it."""
        if self.script:  # resumes by itself
            return [sys.executable, "-c", self.script, str(folder)]
        # what a kill before the first checkpoint leaves behind is replaced
        again = ["--resume"] if resume else ["--overwrite"]
        command = [sys.executable, "-m", "tinygrad_mlp", "train", *self.options]
        return [*command, "--out", str(folder), *again]

    def start(self, folder: Path, **environment: str) -> subprocess.Popen[str]:
        """Start the run, or resume it if the folder has what that needs."""
        resume = all((folder / name).is_file() for name in (CONFIG, CHECKPOINT))
        with (folder.parent / f"{folder.name}.log").open("w") as log:
            return subprocess.Popen(
                self.command(folder, resume=resume),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def finish(self, folder: Path, **environment: str) -> float:
        """Run to the end; return the seconds of processor time it took."""
        begun = os.times()
        process = self.start(folder, **environment)
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        assert code == 0, f"exit code {code}: {errors(folder)}"
        ended = os.times()
        used = ended.children_user + ended.children_system
        return used - begun.children_user - begun.children_system


def let_run(process: subprocess.Popen[str], seconds: float) -> int | None:
    """Let a run use this much processor time; return its exit code if it ends before.

    On a busy machine the moment in the run is then as random as on an idle one.
    """
    deadline = time.monotonic() + TIMEOUT
    while (code := process.poll()) is None and used_seconds(process.pid) < seconds:
        assert time.monotonic() < deadline, "the run hangs"
        time.sleep(0.004)
    if code is None:
        time.sleep(seconds % 0.01)  # the system counts in hundredths
    return code


def used_seconds(pid: int) -> float:
    """Return the processor time of a process that has not been waited for."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, numbers[11:13])) / os.sysconf("SC_CLK_TCK")


def errors(folder: Path) -> str:
    """Return what the last process of a run printed on stderr."""
    return (folder.parent / f"{folder.name}.log").read_text()


def result(folder: Path) -> dict[str, Any]:
    """Return weights, optimizer, schedule, callbacks, generator and history of a finished run."""
    tree = checkpoint.read(folder / CHECKPOINT)
    found = {name: plain(tree[name]) for name in PARTS}
    found["history"] = [{k: v for k, v in row.items() if k not in TIMES} for row in tree["history"]]
    return found | {"weights": plain(tg.load(folder / MODEL))}


def plain(tree: Any) -> Any:
    """Return nested dicts, lists and tuples with each tensor as dtype, shape and bytes."""
    if hasattr(tree, "numpy"):
        array = tree.numpy()
        return array.dtype.str, array.shape, array.tobytes()
    if isinstance(tree, dict):
        return {name: plain(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [plain(value) for value in tree]
    return repr(tree)  # so that nan equals nan, and 1 is not 1.0


def different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the parts of two results that differ."""
    return [name for name in one if one[name] != other[name]]


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a CSV file; return its path, quoted for a shell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return shlex.quote(str(path))


FIT = """
import sys
from pathlib import Path
import numpy as np
import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.train import Callback, Checkpoint, History, load_checkpoint

class Counts(Callback):
    batches = epochs = 0

    def on_batch_end(self, trainer):
        self.batches += 1

    def on_epoch_end(self, trainer):
        self.epochs += 1

    def state_dict(self):
        return {"batches": self.batches, "epochs": self.epochs}

    def load_state_dict(self, saved):
        vars(self).update(saved)

folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
path, last = folder / "checkpoint.safetensors", folder / "model.safetensors"
draw = np.random.default_rng(0)
x = draw.standard_normal((1000, 40)).astype(np.float32)
y = x[:, :5].argmax(1)
tg.manual_seed(1)
model = nn.Sequential(nn.Linear(40, 400), nn.GELU(), nn.Dropout(0.1), nn.Linear(400, 200),
                      nn.LayerNorm(200), nn.Tanh(), nn.Linear(200, 5))
optimizer = optim.Adam(model.parameters(), lr=0.003, amsgrad=True)
scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)
history, callbacks = History(), [Counts()]
callbacks.append(Checkpoint(path))
if path.exists():
    load_checkpoint(path, model, optimizer, scheduler=scheduler, history=history,
                    callbacks=callbacks)
tg.fit(model, optimizer, (x[:800], y[:800]), validation=(x[800:], y[800:]), epochs=200,
       batch_size=32, scheduler=scheduler, history=history, callbacks=callbacks, seed=4,
       progress=False)
assert callbacks[0].epochs == 200 and callbacks[0].batches == 200 * 25
tg.save(model.state_dict(), last)
"""


def kinds(folder: Path) -> dict[str, Kind]:
    """Return the kinds of runs; their files are written into ``folder``."""
    draw = np.random.default_rng(0)
    numbers = draw.standard_normal((3000, 6)).round(4)
    places = draw.choice(["north", "south", "east", "west"], 3000)
    label = np.where(numbers[:, 0] + numbers[:, 1] ** 2 > 1, "yes", "no")
    price = 100 + 7 * numbers[:, 2] - 3 * numbers[:, 3] * (places == "north")
    names = [f"n{k}" for k in range(6)]
    shown = [["" if draw.random() < 0.02 else v for v in row] for row in numbers.tolist()]
    table = write_csv(
        folder / "classes.csv",
        [*names, "place", "label"],
        [[*row, p, c] for row, p, c in zip(shown, places, label, strict=True)],
    )
    prices = write_csv(
        folder / "prices.csv",
        [*names, "place", "price"],
        [[*row, p, v] for row, p, v in zip(numbers, places, price.round(3), strict=True)],
    )
    train = {
        "digits": "digits --epochs 1200",
        "csv classification": f"{table} --target label --missing median --epochs 900",
        "csv regression": f"{prices} --target price --epochs 200 --optimizer rmsprop --momentum 0.5"
        " --lr 0.001 --schedule one-cycle --clip-grad 1 --l2 1e-4",
        "masks and running statistics": "spiral --epochs 3000 --hidden 64,32 --batch-norm --dropout"
        " 0.2 --dropconnect 0.1 --optimizer sgd --lr 0.02 --seed 5",
        "early stopping": "digits --epochs 2000 --early-stopping 300 --schedule plateau --optimizer"
        " adam --lr 0.0002 --dropout 0.3",
    }
    found = {name: Kind(tuple(shlex.split(options))) for name, options in train.items()}
    return found | {"fit with callbacks": Kind(script=FIT)}
