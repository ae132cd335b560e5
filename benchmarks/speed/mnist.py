"""MNIST from its files to 98 % test accuracy: whole processes, from a fresh interpreter to the end.

    python benchmarks/mnist.py --data-dir folder            # default: $TINYGRAD_MLP_DATA
    python benchmarks/mnist.py --only ours JAX --threads 2 --rounds 5

Each contestant is a program of its own (``races/``), which reads the IDX files, trains
784-512-512-10 with dropout 0.2 by Adam in batches of 128, classifies the test set after each epoch,
and ends as soon as it is right often enough. Each round is another seed, and everybody has a turn
in it. One run of each, of one epoch, goes before: it fills caches on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from report import OURS, limited, parse, processors, show, write
from rich.console import Console
from rich.table import Table

# name -> (module of races/, what it imports)
CONTESTANTS = {
    OURS: ("ours", "tinygrad_mlp"),
    "JAX": ("jax", "jax"),
    "PyTorch": ("pytorch", "torch"),
    "Keras": ("keras", "keras"),
    "scikit-learn": ("sklearn", "sklearn"),
}


def run(module: str, threads: int, *options: str) -> dict[str, Any]:
    """One contestant's process: its seconds, from outside, and what it says."""
    command = [sys.executable, "-m", f"races.{module}", "--threads", str(threads), *options]
    environment = os.environ | limited(threads)
    with processors(threads):
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            env=environment,
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - begin
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": seconds} | said


def measure(given: argparse.Namespace, threads: int) -> list[dict[str, Any]]:
    """Everyone's runs, in turns."""
    common = ("--data-dir", str(given.data_dir.absolute()), "--goal", str(given.goal))
    entered = {
        name: module
        for name, (module, needed) in CONTESTANTS.items()
        if find_spec(needed) and (not given.only or name in given.only)
    }
    for module in entered.values():
        run(module, threads, *common, "--epochs", "1")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in entered}
    for seed in range(given.rounds):
        for name, module in entered.items():
            runs[name].append(run(module, threads, *common, "--seed", str(seed)))
    return [{"name": name, "threads": threads, "runs": found} for name, found in runs.items()]


def median(row: dict[str, Any]) -> float:
    """Seconds of a row's middle run."""
    return float(np.median([run["seconds"] for run in row["runs"]]))


def table(rows: list[dict[str, Any]], threads: int, goal: float) -> Table:
    """A row for each contestant."""
    grid = Table(
        "",
        "median",
        "least",
        "most",
        "epochs",
        "reached",
        "ours is faster by",
        title=f"seconds to {goal:.0%} test accuracy, {threads} thread{'s' if threads > 1 else ''}",
    )
    ours = [median(row) for row in rows if row["name"] == OURS]
    for row in rows:
        seconds = [run["seconds"] for run in row["runs"]]
        epochs = sorted(len(run["accuracies"]) for run in row["runs"])
        reached = sum(run["reached"] for run in row["runs"])
        middle = median(row)
        grid.add_row(
            row["name"],
            f"{middle:.2f}",
            f"{min(seconds):.2f}",
            f"{max(seconds):.2f}",
            f"{epochs[0]} to {epochs[-1]}",
            f"{reached} of {len(seconds)}",
            f"{middle / ours[0]:.2f}x" if ours and row["name"] != OURS else "",
        )
    return grid


def main() -> None:
    """Parse, measure, print."""
    folder = os.environ.get("TINYGRAD_MLP_DATA")
    given = parse(
        __doc__ or "",
        rounds=dict(type=int, default=5, help="turns of each contestant, each with its own seed"),
        **{"data-dir": dict(type=Path, default=folder and Path(folder), help="of the IDX files")},
        goal=dict(type=float, default=0.98, help="test accuracy"),
    )
    if given.data_dir is None:
        raise SystemExit("say where MNIST's four files are: --data-dir, or TINYGRAD_MLP_DATA")
    console = Console(stderr=given.json == "-")
    found: list[dict[str, Any]] = []
    for threads in given.threads:
        with console.status(f"racing on {threads} thread(s)"):
            rows = measure(given, threads)
        show(console, table(rows, threads, given.goal))
        found += rows
    if not found:
        raise SystemExit(f"no contestant is called any of {given.only}")
    write(given.json, {"rows": found})


if __name__ == "__main__":
    main()
