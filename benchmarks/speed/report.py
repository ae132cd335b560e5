"""What the benchmarks share: options, a process per number of threads, tables, JSON.

A benchmark is a list of `Case`s. NumPy's OpenBLAS and the peers read their number of threads from
the environment when they are imported. So each number of threads has a process of its own, which
measures every case and the machine's limits, and prints its figures as lines of JSON.

Not every version of XLA has a setting for its number of threads. So, where the system can do it,
that process may use only as many processors as it has threads. This holds for all of its threads,
helpers and schedulers included.

How to read the tables is described in ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from processor import as_text, describe
from rich.console import Console
from rich.table import Table
from timing import interleaved

import tinygrad_mlp as tg

OURS = "ours"
Figures = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One computation that is measured, with the candidates that perform it."""

    name: str
    candidates: Callable[[], dict[str, Callable[[], object]]]  # allocates the arrays; ours first
    flops: float = 0  # of one call, multiply and add counted apart; 0: only memory is a limit
    bytes: float = 0  # of one call, each array counted once per direction; 0: no memory limit
    dtype: str = "float32"
    level: str = "memory"  # where the bytes come from: L1, L2, L3 or memory


def import_peer(name: str, float64: bool = False) -> Any | None:
    """Import a library to compare with and set its number of threads; None if not installed.

    ``float64`` enables JAX's 64-bit dtypes.
    """
    random_state = np.random.get_state()  # noqa: NPY002
    try:
        module: ModuleType = importlib.import_module(name)
    except ImportError:
        return None
    finally:
        np.random.set_state(random_state)  # noqa: NPY002 - JAX draws numbers on import
    if name == "torch":
        module.set_num_threads(tg.get_num_threads())
    if name == "jax":
        module.config.update("jax_enable_x64", float64)
        # Every call is waited for. Without asynchronous dispatch it runs on the calling thread,
        # which is faster.
        module.config.update("jax_cpu_enable_async_dispatch", False)
    return module


def main(
    description: str,
    cases: Callable[[argparse.Namespace], Iterable[Case]],
    summarize: Callable[[Console, list[Figures]], Figures] | None = None,
    **options: Any,
) -> None:
    """Parse the options, measure all cases, print the tables and write the JSON.

    Args:
        description: The script's docstring, shown by ``--help``.
        cases: Makes the cases from the parsed options.
        summarize: Prints a summary of the rows of one number of threads, and returns it.
        options: Further options: each name with the keywords of argparse's ``add_argument``.
    """
    args = parse_args(description, **options)
    if args.child:
        tg.set_num_threads(args.child)
        for case in cases(args):
            if not args.only or any(word in case.name for word in args.only):
                print(json.dumps(measure(case, args)), flush=True)
        return
    console = open_console(args)
    console.print("Medians of turns A B A B in one process; compilation is not counted.")
    figures: Figures = {"rows": []} | ({"summaries": []} if summarize else {})
    for threads in args.threads:
        with console.status(f"measuring on {count_threads(threads)}"):
            rows = list(measure_in_subprocess(threads))
        add_roofline(rows)
        for table in (case_table(rows, threads), first_call_table(rows)):
            print_table(console, table)
        if summarize and rows:
            figures["summaries"].append({"threads": threads} | summarize(console, rows))
        figures["rows"] += rows
    if not figures["rows"]:
        raise SystemExit(f"--only: no case has any of {args.only} in its name")
    write_json(args.json, figures)


# --- options, console, JSON --------------------------------------------------------------------


def parse_args(description: str, **options: Any) -> argparse.Namespace:
    """Parse the options common to all benchmarks, and ``options``.

    These are keywords of argparse's ``add_argument``. They may override a common option; None
    removes it.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common: dict[str, Any] = {
        "threads": dict(
            type=int,
            nargs="+",
            default=list(range(1, tg.get_num_threads() + 1)),
            metavar="N",
            help="numbers of threads to measure with, one after another",
        ),
        "json": dict(metavar="FILE", help="also write the figures as JSON; - for stdout"),
        "only": dict(nargs="+", metavar="NAME", help="only cases with one of these in their name"),
        "rounds": dict(type=int, default=7, metavar="N", help="turns of each candidate"),
        "seconds": dict(type=float, default=0.1, metavar="S", help="duration of each turn"),
        "child": dict(type=int, help=argparse.SUPPRESS),
    }
    for name, keywords in (common | options).items():
        if keywords is None:
            continue
        if keywords.get("default") not in (None, []):
            keywords = keywords | {"help": f"{keywords['help']} (default: %(default)s)"}
        parser.add_argument(f"--{name.replace('_', '-')}", **keywords)
    return parser.parse_args()


def open_console(args: argparse.Namespace) -> Console:
    """Return the console for tables, with the machine's description printed on it.

    The console is stderr where the JSON goes to stdout.
    """
    console = Console(stderr=args.json == "-", width=max(Console().width, 140), highlight=False)
    console.print(as_text(describe()), soft_wrap=True)
    return console


def print_table(console: Console, table: Table) -> None:
    """Print a table in its full width."""
    console.width = max(console.width, Console(width=1000).measure(table).maximum)
    console.print(table)


def write_json(target: str | None, figures: Figures) -> None:
    """Write the figures and the machine's description to a file or, for ``-``, to stdout."""
    text = json.dumps({"machine": describe()} | figures)
    if target == "-":
        print(text)
    elif target:
        Path(target).write_text(text, encoding="utf-8")


def count_threads(count: int) -> str:
    """Return "1 thread" or "n threads"."""
    return f"{count} thread{'s' if count != 1 else ''}"


# --- processes ---------------------------------------------------------------------------------


def measure_in_subprocess(threads: int) -> Iterator[Figures]:
    """Run this script in a process whose libraries all have ``threads`` threads."""
    command = [sys.executable, *sys.argv, "--child", str(threads)]
    environment = os.environ | thread_environment(threads)
    with (
        limit_processors(threads),
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child,
    ):
        assert child.stdout is not None
        yield from map(json.loads, child.stdout)
    if child.returncode:
        raise SystemExit(child.returncode)


def time_process(
    command: list[str], threads: int, environment: dict[str, str] | None = None
) -> tuple[float, Figures]:
    """Run Python with ``command``, in this folder, and wait for its end.

    Returns:
        The seconds of the whole process, and its last line of output, which is JSON.
    """
    with limit_processors(threads):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command],
            env=os.environ | thread_environment(threads) | (environment or {}),
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - start
    result: Figures = json.loads(done.stdout.splitlines()[-1])
    return seconds, result


def thread_environment(threads: int) -> dict[str, str]:
    """Return the environment variables that set each library's number of threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # NPROC: JAX
    # No compiler processes during the measurement.
    settings = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return dict.fromkeys(names, str(threads)) | settings


@contextlib.contextmanager
def limit_processors(count: int) -> Iterator[None]:
    """Limit processes started in the block to ``count`` processors, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])  # interrupts tend to go to the first
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# --- figures of a case -------------------------------------------------------------------------


def measure(case: Case, args: argparse.Namespace) -> Figures:
    """Time a case, and measure the limits that the machine sets to it."""
    from machine import bandwidth, peak

    threads = tg.get_num_threads()
    timings = interleaved(case.candidates(), args.rounds, args.seconds)
    limits: dict[str, float] = {}
    if case.flops:
        limits[case.dtype] = peak(case.dtype, threads, args.seconds)
    if case.bytes:
        limits[case.level] = bandwidth(threads, case.level, args.seconds)
    return {
        "name": case.name,
        "threads": threads,
        "dtype": case.dtype,
        "flops": case.flops,
        "bytes": case.bytes,
        "limits": limits,
        "seconds": {name: vars(timing) for name, timing in timings.items()},
    }


def add_roofline(rows: list[Figures]) -> None:
    """Add ``roofline_seconds`` and each candidate's ``share`` of it to the rows.

    The roofline: a call takes at least the time of its arithmetic at the machine's peak, and at
    least the time of its bytes at the machine's bandwidth (S. Williams, A. Waterman and
    D. Patterson, *Roofline*, CACM 52(4), 2009). A limit is the best that any row measured, since
    other processes may disturb a single measurement.
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
        shortest = max((work[name] / best[name] for name in work), default=0)
        row["roofline_seconds"] = shortest
        row["share"] = {name: shortest / t["median"] for name, t in row["seconds"].items()}


# --- tables ------------------------------------------------------------------------------------


def case_table(rows: list[Figures], threads: int) -> Table:
    """Return a table of medians, our rate and share of the roofline, and the best peer's ratio."""
    limits = dict.fromkeys(
        f"{limit / 1e9:,.1f} {'GFLOP/s' if name == row['dtype'] else 'GB/s'} ({name})"
        for row in rows
        for name, limit in row["limits"].items()
    )
    table = Table(
        title=f"microseconds on {count_threads(threads)}",
        caption=f"share: of this machine's {', '.join(limits)}" if limits else None,
    )
    names = add_columns(table, rows, "our rate", "share", "best peer / ours")
    for row in rows:
        timings, (ours, peers) = row["seconds"], split_candidates(row)
        best = min(peers, key=lambda name: timings[name]["median"], default=None)
        median = timings[ours]["median"]
        table.add_row(
            row["name"],
            *(f"{timings[n]['median'] * 1e6:,.1f}" if n in timings else "" for n in names),
            format_rate(row, median),
            f"{row['share'][ours]:.2f}" if row["roofline_seconds"] else "",
            f"{timings[best]['median'] / median:.2f}x {best}" if best else "",
        )
    return table


def first_call_table(rows: list[Figures]) -> Table:
    """Return a table of the durations of first calls."""
    table = Table(title="milliseconds of the first call: capture, compilation, caches")
    names = add_columns(table, rows)
    for row in rows:
        timings = (row["seconds"].get(name) for name in names)
        table.add_row(row["name"], *(f"{t['first_call'] * 1e3:,.1f}" if t else "" for t in timings))
    return table


def add_columns(table: Table, rows: list[Figures], *more: str) -> list[str]:
    """Add a column for the case, for each candidate and for ``more``; return the candidates."""
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    table.add_column("", max_width=48)
    for column in (*names, *more):
        table.add_column(column, justify="right", no_wrap=True)
    return names


def split_candidates(row: Figures) -> tuple[str, list[str]]:
    """Return the name of our fastest form, and the names of the peers."""
    timings = row["seconds"]
    ours = [name for name in timings if name.split(",")[0] == OURS]
    peers = [name for name in timings if name not in ours]
    return min(ours, key=lambda name: timings[name]["median"]), peers


def format_rate(row: Figures, seconds: float) -> str:
    """Return operations per second, or bytes per second where these are the only limit."""
    work, unit = (row["flops"], "GFLOP/s") if row["flops"] else (row["bytes"], "GB/s")
    return f"{work / seconds / 1e9:,.1f} {unit}" if work else ""
