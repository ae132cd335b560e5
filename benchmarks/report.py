"""What all benchmarks share: options, one process for each number of threads, a table, JSON.

A benchmark is a list of `Case`s. NumPy's OpenBLAS and the peers take their number of threads from
the environment when they are imported, so each number has a process of its own, which measures
every case, the machine's limits among them, and hands its figures back as lines of JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import interleaved

import tinygrad_mlp as tg

OURS = "ours"
Figures = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Something to measure, by us and by others."""

    name: str
    candidates: Callable[[], dict[str, Callable[[], object]]]  # ours first; makes the arrays too
    flops: float = 0  # of one call, multiply and add apart; 0 where memory is the limit
    bytes: float = 0  # of one call, each array counted once for each way it must go
    dtype: str = "float32"
    level: str = "memory"  # that the bytes come from: L1, L2, L3 or memory


def peer(name: str) -> Any | None:
    """A library to be measured against, on our number of threads; None if it is not installed."""
    try:
        module: ModuleType = importlib.import_module(name)
    except ImportError:
        return None
    if name == "torch":
        module.set_num_threads(tg.get_num_threads())
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


def main(about: str, cases: Callable[[argparse.Namespace], Iterable[Case]], **options: Any) -> None:
    """Parse, measure, print. ``options``: more arguments, each name with argparse's keywords."""
    given = parse(about, **options)
    if given.child:
        tg.set_num_threads(given.child)
        for case in cases(given):
            if not given.only or any(word in case.name for word in given.only):
                print(json.dumps(measure(case, given)), flush=True)
        return
    console = Console(stderr=given.json == "-", width=max(Console().width, 140))
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    console.print(f"{versions}, {platform.machine()}")
    console.print("Medians of turns A B A B in one process; compilation is not counted.")
    found: list[Figures] = []
    for threads in given.threads:
        with console.status(f"measuring on {threads} thread(s)"):
            rows = list(measured_by_child(threads))
        shares(rows)
        console.print(table(rows, threads))
        found += rows
    if not found:
        raise SystemExit(f"no case has any of {given.only} in its name")
    write(given.json, {"rows": found})


def parse(about: str, **options: Any) -> argparse.Namespace:
    """The options that every benchmark has, and more of its own."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    every = list(range(1, tg.get_num_threads() + 1))
    parser.add_argument("--threads", type=int, nargs="+", default=every, metavar="N")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each candidate")
    parser.add_argument("--seconds", type=float, default=0.1, help="of each turn")
    parser.add_argument("--json", metavar="FILE", help="write the figures too; - for stdout")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases with this in their name")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    for name, keywords in options.items():
        parser.add_argument(f"--{name}", **keywords)
    return parser.parse_args()


def measured_by_child(threads: int) -> Iterator[Figures]:
    """This same script in a process in which every library has ``threads`` threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # NPROC: JAX
    environment = os.environ | dict.fromkeys(names, str(threads))
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    command = [sys.executable, *sys.argv, "--child", str(threads)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield from map(json.loads, child.stdout)
    if child.returncode:
        raise SystemExit(child.returncode)


def measure(case: Case, given: argparse.Namespace) -> Figures:
    """Time a case, and the limit that the machine sets to it."""
    from machine import bandwidth, peak

    threads = tg.get_num_threads()
    timings = interleaved(case.candidates(), given.rounds, given.seconds)
    figures: Figures = {"name": case.name, "threads": threads, "dtype": case.dtype}
    if case.flops:
        figures |= {"flops": case.flops, "of": case.dtype}
        figures["limit"] = peak(case.dtype, threads, given.seconds)
    elif case.bytes:
        figures |= {"bytes": case.bytes, "of": case.level}
        figures["limit"] = bandwidth(threads, case.level, given.seconds)
    return figures | {"seconds": {name: vars(timing) for name, timing in timings.items()}}


def shares(rows: list[Figures]) -> None:
    """Hold each row against the best that the machine showed: now and then it is disturbed."""
    limits: dict[str, float] = {}
    for row in rows:
        if "of" in row:
            limits[row["of"]] = max(limits.get(row["of"], 0), row["limit"])
    for row in rows:
        if "of" in row:
            row["limit"] = limits[row["of"]]
            least = (row.get("flops") or row["bytes"]) / row["limit"]
            row["share"] = {name: least / t["median"] for name, t in row["seconds"].items()}


def table(rows: list[Figures], threads: int) -> Table:
    """A row for each case: everyone's median, our rate and share of the limit, our speed-up."""
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    limited = [row for row in rows if "of" in row]
    limits = dict.fromkeys(f"{rate(row, row['limit'])} ({row['of']})" for row in limited)
    grid = Table(
        title=f"microseconds on {threads} thread{'s' if threads > 1 else ''}",
        caption=f"share: of this machine's {', '.join(limits)}" if limits else None,
    )
    grid.add_column("", no_wrap=True)
    for column in (*names, "our rate", "share", "best peer / ours"):
        grid.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        times, (ours, others) = row["seconds"], owners(row)
        best = min(others, key=lambda name: times[name]["median"], default=None)
        median = times[ours]["median"]
        work = row.get("flops") or row.get("bytes")
        grid.add_row(
            row["name"], *(microseconds(times.get(name)) for name in names),
            rate(row, work / median) if work else "",
            f"{row['share'][ours]:.2f}" if work else "",
            f"{times[best]['median'] / median:.2f}x {best}" if best else "",
        )  # fmt: skip
    return grid


def rate(row: Figures, each_second: float) -> str:
    """Operations or bytes in a second, as text."""
    return f"{each_second / 1e9:,.1f} {'GFLOP/s' if 'flops' in row else 'GB/s'}"


def owners(row: Figures) -> tuple[str, list[str]]:
    """Our fastest form, and the peers."""
    times = row["seconds"]
    ours = [name for name in times if name.split(",")[0] == OURS]
    others = [name for name in times if name not in ours]
    return min(ours, key=lambda name: times[name]["median"]), others


def microseconds(timing: dict[str, float] | None) -> str:
    """A median as text; nothing for a candidate that is not in this row."""
    return "" if timing is None else f"{timing['median'] * 1e6:,.1f}"


def write(target: str | None, figures: Figures) -> None:
    """The figures as JSON, into a file or onto stdout."""
    if target == "-":
        print(json.dumps(figures))
    elif target:
        Path(target).write_text(json.dumps(figures))
