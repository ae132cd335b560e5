"""From import to the end of the first compiled step, of networks whose sizes are new each time.

    python benchmarks/start.py --rounds 5 --threads 2

Each turn is a fresh process (`first_step.py`) that trains another perceptron, 784-a-b-10 with
BatchNorm1d and Dropout, batch 128, SGD, for one step. Caches on disk are warm: one run of each
contestant, of other sizes, goes before. So ours has met the chains, but not the shapes.

The last column says what a chain nobody has met adds: the first step of a network with one, less
that of a network without, by the number of kernels generated for it.
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
from peers.pytorch import compiler
from report import OURS, limited, parse, processors, show, write
from rich.console import Console
from rich.table import Table

CONTESTANTS = {OURS: "tinygrad_mlp", "JAX": "jax", "torch.compile": "torch"}
SCRIPT = Path(__file__).with_name("first_step.py")


def run(name: str, threads: int, sizes: list[int], *options: str) -> dict[str, Any]:
    """One process; ``process`` is the whole of it, from outside."""
    command = [sys.executable, str(SCRIPT), name, *map(str, sizes), *options]
    environment = os.environ | limited(threads)
    environment["TORCHINDUCTOR_COMPILE_THREADS"] = str(threads)
    with processors(threads):
        begin = time.perf_counter()
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    said: dict[str, Any] = json.loads(done.stdout)
    return said | {"process": time.perf_counter() - begin}


def measure(given: argparse.Namespace, threads: int) -> list[dict[str, Any]]:
    """Everyone's runs, in turns."""
    entered = [
        name
        for name, needed in CONTESTANTS.items()
        if find_spec(needed)
        and (not given.only or name in given.only)
        and (needed != "torch" or compiler())
    ]
    generator = np.random.default_rng(time.time_ns())  # also new to caches that outlive a run
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in entered}
    for turn in range(given.rounds + 1):
        hidden = generator.integers(60, 600, 2).tolist()
        for name in entered:
            found = run(name, threads, [784, *hidden, 10])
            if name == OURS and not given.known:
                seed = str(generator.integers(1 << 31))
                found["novel"] = run(name, threads, [784, *hidden, 10], "--novel", seed)["novel"]
            runs[name] += [found] if turn else []
    return [{"name": name, "threads": threads, "runs": found} for name, found in runs.items()]


def table(rows: list[dict[str, Any]], threads: int) -> Table:
    """A row for each contestant."""
    grid = Table(
        "",
        "median",
        "least",
        "most",
        "whole process",
        "new chain",
        title=f"seconds to the end of the first step, {threads} thread{'s' if threads > 1 else ''}",
    )
    for row in rows:
        seconds = [run["seconds"] for run in row["runs"]]
        whole = [run["process"] for run in row["runs"]]
        novel = [run["novel"] for run in row["runs"] if "novel" in run]
        chains = [(n["unknown"] - n["known"]) / n["new"] for n in novel if n["new"]]
        grid.add_row(
            row["name"],
            f"{np.median(seconds):.2f}",
            f"{min(seconds):.2f}",
            f"{max(seconds):.2f}",
            f"{np.median(whole):.2f}",
            f"{np.median(chains):.3f}" if chains else "",
        )
    return grid


def main() -> None:
    """Parse, measure, print."""
    given = parse(
        __doc__ or "",
        rounds=dict(type=int, default=5, help="turns of each"),
        known=dict(action="store_true", help="leave out chains nobody has met"),
    )
    console = Console(stderr=given.json == "-")
    found: list[dict[str, Any]] = []
    for threads in given.threads:
        with console.status(f"starting on {threads} thread(s)"):
            rows = measure(given, threads)
        show(console, table(rows, threads))
        found += rows
    if not found:
        raise SystemExit(f"no contestant is called any of {given.only}")
    write(given.json, {"rows": found})


if __name__ == "__main__":
    main()
