"""Read mutants of files in a process with limits of time and memory; print the outcomes as JSON.

    python -m tests.soak.readers SEED FIRST COUNT PROGRESS

reads the mutants FIRST, FIRST + 1, ...; mutant k depends on SEED and k alone. The number of the
mutant that is being read stands in the file PROGRESS, should the process die. A process that waits
for ever is ended by its parent.
"""

from __future__ import annotations

import faulthandler
import gzip
import json
import random
import resource
import signal
import struct
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tinygrad_mlp as tg
from tests.soak import mutants
from tinygrad_mlp import data, nn, optim
from tinygrad_mlp.data import idx
from tinygrad_mlp.runs import create_experiment, open_run
from tinygrad_mlp.train import History
from tinygrad_mlp.train.checkpoint import load_checkpoint, save_checkpoint

SECONDS = 10  # of computing, for one mutant of a few kilobytes
MEMORY = 3 << 30  # address space, beyond what the imports need
KEPT = 40  # examples of failures in the output


class Hang(BaseException):
    """Raised by the alarm; no reader can catch it as an Exception."""


class Wrong(BaseException):
    """A result that should have been an error, or an error that left a change behind."""


@dataclass(frozen=True)
class Reader:
    """A reader, the files that it can read, and how to change them."""

    suffix: str
    seeds: list[bytes]
    mutate: mutants.Mutator
    read: Callable[[Path], object]
    documented: tuple[type[Exception], ...] = (ValueError, OSError)
    names_file: bool = True


def check_finite(dataset: data.Dataset) -> None:
    for part in (dataset, dataset.held_out):
        if part is not None and not all(np.isfinite(array).all() for array in part):
            raise Wrong(f"{part} is not finite")


def table(delimiter: str = ",", rows: int = 24) -> str:
    draw = random.Random(1)
    lines = [delimiter.join(("length", "width", "colour", "species"))]
    for row in range(rows):
        colour = draw.choice(("red", '"sky ""blue"", light"', "weiß"))
        cells = (f"{draw.gauss(5, 1):.2f}", str(draw.randrange(9)), colour, f"iris {'ab'[row % 2]}")
        lines.append(delimiter.join(cells))
    return "\n".join(lines) + "\n"


def tables() -> list[bytes]:
    wide = ",".join(f"c{k}" for k in range(60)) + "\n" + (",".join(["1.5"] * 60) + "\n") * 6
    return [
        table().encode(),
        table(";").replace("\n", "\r\n").encode("utf-8-sig"),
        table("\t").encode("utf-16"),
        table("|").encode("cp1252"),
        wide.encode(),
        b"1,2\n3,4\n" * 10,
    ]


def read_table(path: Path) -> None:
    check_finite(data.csv(path, test=None if path.stat().st_size % 2 else 0.2, missing="mean"))


def archives(folder: Path) -> list[bytes]:
    draw, path, found = np.random.default_rng(0), folder / "seed.npz", []
    y = np.arange(20) % 2
    for write, x, target in (
        (np.savez, draw.normal(size=(20, 3)), y),
        (
            np.savez_compressed,
            draw.integers(0, 255, (20, 3, 4)).astype(np.uint8),
            np.array(["a", "b"])[y],
        ),
        (np.savez, draw.normal(size=(20, 2)).astype(np.float16), draw.normal(size=20)),
        (
            np.savez_compressed,
            np.asfortranarray(draw.normal(size=(20, 2))).astype(">f4"),
            y[:, None],
        ),
    ):
        write(path, x=x, y=target)
        found.append(path.read_bytes())
    return found


def read_archive(path: Path) -> None:
    data.read_npz(path, target=False)
    check_finite(data.npz(path, test=None if path.stat().st_size % 2 else 0.2))


def images() -> list[bytes]:
    plain = [
        bytes([0, 0, 8, 3]) + struct.pack(">3I", 5, 4, 4) + bytes(range(80)),
        bytes([0, 0, 14, 1]) + struct.pack(">I", 4) + bytes(32),
    ]
    return [*plain, *(gzip.compress(each, mtime=0) for each in plain)]


def network() -> tuple[nn.Module, optim.Optimizer, optim.lr_scheduler.LRScheduler]:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = optim.Adam(model.parameters())
    return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 3)


def checkpoints(folder: Path) -> list[bytes]:
    model, optimizer, scheduler = network()
    model(tg.ones(4, 3)).sum().backward()
    optimizer.step()
    history = History([{"epoch": 1, "loss": 0.5, "lr": 0.1, "seconds": 1.0}])
    save_checkpoint(folder / "seed", model, optimizer, scheduler=scheduler, history=history)
    return [(folder / "seed").read_bytes()]


def snapshot(*parts: object) -> str:
    return repr([part.state_dict() for part in parts]) + repr(tg.get_rng_state())


def checkpoint_reader() -> Callable[[Path], None]:
    model, optimizer, scheduler = network()
    history = History()

    def read(path: Path) -> None:
        before = snapshot(model, optimizer, scheduler), list(history.rows)
        try:
            load_checkpoint(path, model, optimizer, scheduler=scheduler, history=history)
        except Exception as error:
            if (snapshot(model, optimizer, scheduler), list(history.rows)) != before:
                raise Wrong(f"half-loaded: {type(error).__name__}: {error}") from None
            raise
        repr(history)

    return read


def run_readers(folder: Path) -> dict[str, Reader]:
    """Return the readers of config.json and of model.safetensors in the folder of a run."""
    train, rows = folder / "rows.csv", folder / "new.csv"
    train.write_text(table(), encoding="utf-8")
    rows.write_text(table(rows=3), encoding="utf-8")
    create_experiment(str(train), out=folder / "run", epochs=1, hidden=(4,), batch_norm=True).run()
    intact = {
        name: (folder / "run" / name).read_bytes() for name in ("config.json", "model.safetensors")
    }

    def reader(name: str, mutate: mutants.Mutator) -> Reader:
        def read(path: Path) -> None:
            for each, content in intact.items():
                (folder / "run" / each).write_bytes(path.read_bytes() if each == name else content)
            _, predicted = open_run(folder / "run").predict(rows)
            if not np.isfinite([float(cell) for row in predicted for cell in row[1:]]).all():
                raise Wrong("predictions that are not finite")

        return Reader(".bin", [intact[name]], mutate, read, names_file=False)

    return {
        "config": reader("config.json", mutants.mutate_json),
        "model": reader("model.safetensors", mutants.mutate_safetensors),
    }


def read_history(path: Path) -> None:
    try:
        rows = json.loads(path.read_bytes())["epochs"]
    except (LookupError, RecursionError, TypeError, ValueError):
        raise ValueError("the JSON itself is damaged") from None
    history = History(rows)
    History(history.to_dict()["epochs"])
    repr(history)


def read_preprocessor(path: Path) -> None:
    again = data.Preprocessor.from_json(path.read_text(encoding="utf-8"))
    data.Preprocessor.from_json(again.to_json())


def readers(folder: Path) -> dict[str, Reader]:
    """Return all readers by name."""
    path = folder / "rows.csv"
    runs = run_readers(folder)
    fitted = data.csv(path).preprocessor
    pixels = data.Preprocessor.for_images(4, 255, ("a", "b"))
    preprocessors = [each.to_json().encode() for each in (fitted, pixels)]
    history = History([{"epoch": k, "loss": 1 / k, "val_loss": 2.0, "lr": 0.1} for k in (1, 2)])
    rows = json.dumps(history.to_dict()).encode()
    saved, arrays = checkpoints(folder), archives(folder)
    for signed in (*saved, *runs["model"].seeds):
        assert mutants.CHECKSUM.encode() in signed, "or all mutants end at the checksum"

    def read_rows(file: Path) -> None:
        x = data.read_inputs(file, fitted)
        check_finite(data.read_dataset(file, fitted))
        if not np.isfinite(x).all():
            raise Wrong("inputs that are not finite")

    return runs | {
        "csv": Reader(".csv", tables(), mutants.mutate_bytes, read_table),
        "rows": Reader(".csv", tables()[:3], mutants.mutate_bytes, read_rows),
        "npz": Reader(".npz", arrays, mutants.mutate_npz, read_archive),
        "idx": Reader(".idx", images(), mutants.mutate_gzip, idx.read),
        "load": Reader(".safetensors", saved, mutants.mutate_safetensors, tg.load),
        "checkpoint": Reader(
            ".safetensors", saved, mutants.mutate_safetensors, checkpoint_reader()
        ),
        "history": Reader(".json", [rows], mutants.mutate_json, read_history, names_file=False),
        "preprocessor": Reader(
            ".json", preprocessors, mutants.mutate_json, read_preprocessor, names_file=False
        ),
    }


def outcome(reader: Reader, path: Path) -> tuple[str, str]:
    """Return what reading the file came to, and the error."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        reader.read(path)
        return "result", ""
    except reader.documented as error:
        if reader.names_file and path.name not in str(error):
            return "unnamed", f"{type(error).__name__}: {error}"
        return "documented", ""
    except Hang:
        return "hang", ""
    except Wrong as error:
        return "wrong", str(error)
    except Exception as error:
        return "undocumented", f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def alarm(*_: object) -> None:
    raise Hang


def main(seed: str, first: str, count: str, progress: str) -> None:
    """Read the mutants and print the outcomes."""
    faulthandler.enable()
    signal.signal(signal.SIGPROF, alarm)
    counts: Counter[str] = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder, open(progress, "w") as at:
        table = readers(Path(folder))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        warnings.simplefilter("error")
        names = list(table)
        for number in range(int(first), int(first) + int(count)):
            at.seek(0)
            at.write(f"{number:12}")
            at.flush()
            draw, name = random.Random(f"{seed} {number}"), names[number % len(names)]
            reader = table[name]
            path = Path(folder, f"mutant{reader.suffix}")
            path.write_bytes(reader.mutate(draw, draw.choice(reader.seeds), reader.seeds))
            found, error = outcome(reader, path)
            counts[f"{name} {found}"] += 1
            if found not in ("result", "documented") and len(failures) < KEPT:
                failures.append(f"{name}, mutant {number} of seed {seed}: {found}: {error[:300]}")
    print(json.dumps({"counts": counts, "failures": failures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
