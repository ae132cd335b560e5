"""Time from import to the end of the first compiled step, for networks of new sizes.

    python benchmarks/speed/start.py --rounds 5 --threads 2

Each turn is a fresh process (`first_step.py`) that trains one step of a perceptron 784-a-b-10 with
BatchNorm1d and Dropout, batch 128, SGD. The sizes a and b differ in every turn. Caches on disk are
warm: one run of each contestant, with other sizes, goes before. So we have compiled the elementwise
chains of the network, while the shapes are new.

The last column is the cost of a new elementwise chain: the first step of a network that contains
one, minus that of a network without, divided by the number of kernels generated for it.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
from peers.pytorch import has_compiler
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

CONTESTANTS = {OURS: "tinygrad_mlp", "JAX": "jax", "torch.compile": "torch"}


def run(name: str, threads: int, sizes: list[int], *options: str) -> dict[str, Any]:
    """Run one process; ``process`` is the seconds of the whole process."""
    command = ["first_step.py", name, *map(str, sizes), *options]
    pool = {"TORCHINDUCTOR_COMPILE_THREADS": str(threads)}
    seconds, result = time_process(command, threads, pool)
    return result | {"process": seconds}


def measure(args: argparse.Namespace, threads: int) -> list[dict[str, Any]]:
    """Run all contestants in turns."""
    names = [
        name
        for name, module in CONTESTANTS.items()
        if find_spec(module)
        and (not args.only or name in args.only)
        and (module != "torch" or has_compiler())
    ]
    # A new seed each time, so that the sizes are also new to caches that outlive a run.
    generator = np.random.default_rng(time.time_ns())
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(args.rounds + 1):
        sizes = [784, *generator.integers(60, 600, 2).tolist(), 10]
        for name in names:
            result = run(name, threads, sizes)
            if name == OURS and not args.no_chains:
                seed = str(generator.integers(1 << 31))
                result["chains"] = run(name, threads, sizes, "--chains", seed)["chains"]
            runs[name] += [result] if turn else []  # the first turn fills the caches
    return [{"name": name, "threads": threads, "runs": results} for name, results in runs.items()]


def start_table(rows: list[dict[str, Any]], threads: int) -> Table:
    """Return a table with a row for each contestant."""
    table = Table(
        "",
        "median",
        "min",
        "max",
        "whole process",
        "new chain",
        title=f"seconds to the end of the first step, {count_threads(threads)}",
    )
    for row in rows:
        seconds = [run["seconds"] for run in row["runs"]]
        processes = [run["process"] for run in row["runs"]]
        chains = [run["chains"] for run in row["runs"] if "chains" in run]
        costs = [(c["new"] - c["known"]) / c["kernels"] for c in chains if c["kernels"]]
        table.add_row(
            row["name"],
            f"{np.median(seconds):.2f}",
            f"{min(seconds):.2f}",
            f"{max(seconds):.2f}",
            f"{np.median(processes):.2f}",
            f"{np.median(costs):.3f}" if costs else "",
        )
    return table


def main() -> None:
    """Parse the options, measure, print the tables and write the JSON."""
    args = parse_args(
        __doc__ or "",
        only=dict(nargs="+", choices=list(CONTESTANTS), help="only these contestants"),
        rounds=dict(type=int, default=5, metavar="N", help="turns of each contestant"),
        seconds=None,
        no_chains=dict(action="store_true", help="do not measure the cost of a new chain"),
    )
    console = open_console(args)
    figures: list[dict[str, Any]] = []
    for threads in args.threads:
        with console.status(f"measuring on {count_threads(threads)}"):
            rows = measure(args, threads)
        print_table(console, start_table(rows, threads))
        figures += rows
    if not figures:
        raise SystemExit(f"--only: none of {args.only} is installed")
    write_json(args.json, {"rows": figures})


if __name__ == "__main__":
    main()
