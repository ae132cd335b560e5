"""What all benchmarks share: options, one process for each number of threads, a table, JSON.

A benchmark is a list of `Case`s. NumPy's OpenBLAS and the peers take their number of threads from
the environment when they are imported, so each number has a process of its own, which measures
every case, the machine's limits among them, and hands its figures back as lines of JSON.

XLA has no setting that all its versions heed, so where the system can do it that process, from its
very start, may use as many processors as it has threads: nobody in it can use more, helpers and
schedulers included.
"""

from __future__ import annotations

import argparse
import contextlib
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
    flops: float = 0  # of one call, multiply and add apart; 0 where only memory is a limit
    bytes: float = 0  # of one call, each array counted once for each way it must go; 0: no limit
    dtype: str = "float32"
    level: str = "memory"  # that the bytes come from: L1, L2, L3 or memory


def peer(name: str, float64: bool = False) -> Any | None:
    """A library to be measured against, on our number of threads; None if it is not installed.

    ``float64``: JAX is to have it, too.
    """
    drawn = np.random.get_state()  # noqa: NPY002
    try:
        module: ModuleType = importlib.import_module(name)
    except ImportError:
        return None
    finally:
        np.random.set_state(drawn)  # noqa: NPY002 - JAX draws when it is imported
    if name == "torch":
        module.set_num_threads(tg.get_num_threads())
    if name == "jax":
        module.config.update("jax_enable_x64", float64)
        # Each call is waited for, so it may as well run on the thread that asks: it is quicker.
        module.config.update("jax_cpu_enable_async_dispatch", False)
    return module


def main(
    about: str,
    cases: Callable[[argparse.Namespace], Iterable[Case]],
    conclude: Callable[[Console, list[Figures]], Figures] | None = None,
    **options: Any,
) -> None:
    """Parse, measure, print.

    ``conclude`` prints what is to be said about the rows of one number of threads, and returns it;
    ``options``: more arguments, each name with argparse's keywords.
    """
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
    conclusions: list[Figures] = []
    for threads in given.threads:
        with console.status(f"measuring on {threads} thread(s)"):
            rows = list(measured_by_child(threads))
        shares(rows)
        for grid in (table(rows, threads), first_calls(rows)):
            show(console, grid)
        if conclude and rows:
            conclusions.append({"threads": threads} | conclude(console, rows))
        found += rows
    if not found:
        raise SystemExit(f"no case has any of {given.only} in its name")
    write(given.json, {"rows": found} | ({"conclusions": conclusions} if conclude else {}))


def parse(about: str, **options: Any) -> argparse.Namespace:
    """The options that every benchmark has, and more of its own, or its own form of them."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    every = list(range(1, tg.get_num_threads() + 1))
    parser.add_argument("--threads", type=int, nargs="+", default=every, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the figures too; - for stdout")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases with this in their name")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    usual: dict[str, Any] = {
        "rounds": dict(type=int, default=7, help="turns of each candidate"),
        "seconds": dict(type=float, default=0.1, help="of each turn"),
    }
    for name, keywords in (usual | options).items():
        parser.add_argument(f"--{name}", **keywords)
    return parser.parse_args()


def measured_by_child(threads: int) -> Iterator[Figures]:
    """This same script in a process in which every library has ``threads`` threads."""
    command = [sys.executable, *sys.argv, "--child", str(threads)]
    environment = os.environ | limited(threads)
    with (
        processors(threads),
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child,
    ):
        assert child.stdout is not None
        yield from map(json.loads, child.stdout)
    if child.returncode:
        raise SystemExit(child.returncode)


def limited(threads: int) -> dict[str, str]:
    """The environment variables that tell each library its number of threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # NPROC: JAX
    once = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}  # no pool of processes beside the measurement
    if threads == 1:
        once["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return dict.fromkeys(names, str(threads)) | once


@contextlib.contextmanager
def processors(count: int) -> Iterator[None]:
    """Processes started in the block may use ``count`` processors, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])  # interrupts tend to go to the first
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(case: Case, given: argparse.Namespace) -> Figures:
    """Time a case, and the limits that the machine sets to it."""
    from machine import bandwidth, peak

    threads = tg.get_num_threads()
    timings = interleaved(case.candidates(), given.rounds, given.seconds)
    figures: Figures = {"name": case.name, "threads": threads, "dtype": case.dtype}
    figures |= {"flops": case.flops, "bytes": case.bytes, "limits": {}}
    if case.flops:
        figures["limits"][case.dtype] = peak(case.dtype, threads, given.seconds)
    if case.bytes:
        figures["limits"][case.level] = bandwidth(threads, case.level, given.seconds)
    return figures | {"seconds": {name: vars(timing) for name, timing in timings.items()}}


def shares(rows: list[Figures]) -> None:
    """Hold each row against the best that the machine showed: now and then it is disturbed.

    ``least`` is the roofline: a call takes at least the time of its arithmetic, and at least that
    of its bytes, whichever is longer (S. Williams, A. Waterman and D. Patterson, *Roofline*, CACM
    52(4), 2009).
    """
    best: dict[str, float] = {}
    for row in rows:
        for name, limit in row["limits"].items():
            best[name] = max(best.get(name, 0), limit)
    for row in rows:
        row["limits"] = {name: best[name] for name in row["limits"]}
        work = dict.fromkeys(row["limits"], row["bytes"])
        if row["flops"]:
            work[row["dtype"]] = row["flops"]
        row["least"] = max((work[name] / best[name] for name in work), default=0)
        row["share"] = {name: row["least"] / t["median"] for name, t in row["seconds"].items()}


def table(rows: list[Figures], threads: int) -> Table:
    """A row for each case: everyone's median, our rate and share of the limit, our speed-up."""
    limits = dict.fromkeys(
        f"{each / 1e9:,.1f} {'GFLOP/s' if name == row['dtype'] else 'GB/s'} ({name})"
        for row in rows
        for name, each in row["limits"].items()
    )
    grid = Table(
        title=f"microseconds on {threads} thread{'s' if threads > 1 else ''}",
        caption=f"share: of this machine's {', '.join(limits)}" if limits else None,
    )
    names = columns(grid, rows, "our rate", "share", "best peer / ours")
    for row in rows:
        times, (ours, others) = row["seconds"], owners(row)
        best = min(others, key=lambda name: times[name]["median"], default=None)
        median = times[ours]["median"]
        grid.add_row(
            row["name"],
            *(microseconds(times.get(name)) for name in names),
            rate(row, median),
            f"{row['share'][ours]:.2f}" if row["least"] else "",
            f"{times[best]['median'] / median:.2f}x {best}" if best else "",
        )
    return grid


def first_calls(rows: list[Figures]) -> Table:
    """A row for each case: how long everyone's first call took."""
    grid = Table(title="milliseconds of the first call: capture, compilation, caches")
    names = columns(grid, rows)
    for row in rows:
        found = (row["seconds"].get(name) for name in names)
        grid.add_row(row["name"], *(f"{t['first_call'] * 1e3:,.1f}" if t else "" for t in found))
    return grid


def columns(grid: Table, rows: list[Figures], *more: str) -> list[str]:
    """Give a table a column for everyone, and more; returns everyone's name."""
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    grid.add_column("", max_width=48)
    for column in (*names, *more):
        grid.add_column(column, justify="right", no_wrap=True)
    return names


def show(console: Console, grid: Table) -> None:
    """Print a table as wide as it has to be."""
    console.width = max(console.width, Console(width=1000).measure(grid).maximum)
    console.print(grid)


def rate(row: Figures, seconds: float) -> str:
    """Operations in a second, or bytes where they are the only limit, as text."""
    work, unit = (row["flops"], "GFLOP/s") if row["flops"] else (row["bytes"], "GB/s")
    return f"{work / seconds / 1e9:,.1f} {unit}" if work else ""


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
