"""MNIST from its files to 98 % test accuracy: the time of whole processes, imports included.

    python benchmarks/speed/mnist.py --data-dir folder      # default: $TINYGRAD_MLP_DATA
    python benchmarks/speed/mnist.py --only ours JAX --threads 2 --rounds 5

Each contestant is a program of its own (``races/``). It reads the IDX files, trains
784-512-512-10 with dropout 0.2 by Adam in batches of 128, classifies the test set after each epoch,
and ends when the accuracy reaches the goal. Each round has another seed, and each contestant runs
once in it. Before the first round each contestant trains one epoch, to fill caches on disk.
"""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from report import (
    OURS,
    count_threads,
    open_console,
    parse_args,
    print_table,
    time_process,
    write_json,
)
from rich.table import Table

# name -> (module of races/, the library that it imports)
CONTESTANTS = {
    OURS: ("ours", "tinygrad_mlp"),
    "JAX": ("jax", "jax"),
    "PyTorch": ("pytorch", "torch"),
    "Keras": ("keras", "keras"),
    "scikit-learn": ("sklearn", "sklearn"),
}


def run(module: str, threads: int, *options: str) -> dict[str, Any]:
    """Run one contestant's process; return its seconds, and the figures that it prints."""
    command = ["-m", f"races.{module}", "--threads", str(threads), *options]
    seconds, result = time_process(command, threads)
    return {"seconds": seconds} | result


def measure(args: argparse.Namespace, threads: int) -> list[dict[str, Any]]:
    """Run all contestants in turns."""
    options = ("--data-dir", str(args.data_dir.absolute()), "--goal", str(args.goal))
    modules = {
        name: module
        for name, (module, library) in CONTESTANTS.items()
        if find_spec(library) and (not args.only or name in args.only)
    }
    for module in modules.values():
        run(module, threads, *options, "--epochs", "1")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in modules}
    for seed in range(args.rounds):
        for name, module in modules.items():
            runs[name].append(run(module, threads, *options, "--seed", str(seed)))
    return [{"name": name, "threads": threads, "runs": results} for name, results in runs.items()]


def median(row: dict[str, Any]) -> float:
    """Return the median seconds of a row's runs."""
    return float(np.median([run["seconds"] for run in row["runs"]]))


def race_table(rows: list[dict[str, Any]], threads: int, goal: float) -> Table:
    """Return a table with a row for each contestant."""
    table = Table(
        "",
        "median",
        "min",
        "max",
        "epochs",
        "goal reached",
        "time / ours",
        title=f"seconds to {goal:.0%} test accuracy, {count_threads(threads)}",
    )
    ours = [median(row) for row in rows if row["name"] == OURS]
    for row in rows:
        seconds = [run["seconds"] for run in row["runs"]]
        epochs = [len(run["accuracies"]) for run in row["runs"]]
        reached = sum(run["reached"] for run in row["runs"])
        table.add_row(
            row["name"],
            f"{median(row):.2f}",
            f"{min(seconds):.2f}",
            f"{max(seconds):.2f}",
            f"{min(epochs)} to {max(epochs)}",
            f"{reached} of {len(seconds)}",
            f"{median(row) / ours[0]:.2f}x" if ours and row["name"] != OURS else "",
        )
    return table


def main() -> None:
    """Parse the options, measure, print the tables and write the JSON."""
    folder = os.environ.get("TINYGRAD_MLP_DATA")
    args = parse_args(
        __doc__ or "",
        only=dict(nargs="+", choices=list(CONTESTANTS), help="only these contestants"),
        rounds=dict(type=int, default=5, metavar="N", help="seeds, each run by every contestant"),
        seconds=None,
        data_dir=dict(
            type=Path,
            default=folder and Path(folder),
            metavar="FOLDER",
            help="folder with MNIST's four IDX files, which may be compressed with gzip",
        ),
        goal=dict(type=float, default=0.98, help="test accuracy that ends a run"),
    )
    if args.data_dir is None:
        raise SystemExit(
            "the folder with MNIST's four files is needed: pass --data-dir or set TINYGRAD_MLP_DATA"
        )
    console = open_console(args)
    figures: list[dict[str, Any]] = []
    for threads in args.threads:
        with console.status(f"measuring on {count_threads(threads)}"):
            rows = measure(args, threads)
        print_table(console, race_table(rows, threads, args.goal))
        figures += rows
    if not figures:
        raise SystemExit(f"--only: none of {args.only} is installed")
    write_json(args.json, {"rows": figures})


if __name__ == "__main__":
    main()
