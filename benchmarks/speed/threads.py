"""What sharing costs: dispatch of an empty program, and steps beside busy neighbours.

    python benchmarks/threads.py --json threads.json

A step is a program of ten rows of arithmetic that take 30 us, 1 ms and 30 ms together on one idle
core. It runs on one thread and on all, in turns, while as many processes as there are processors
count upwards beside it. Wanted: on all threads the median at most 1.3 times, the 99th percentile at
most 5 times that of one thread under the same load.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from machine import arithmetic_kernel, peak, vector_flops
from report import parse, write
from rich.console import Console
from rich.table import Table

import tinygrad_mlp as tg
from tinygrad_mlp.kernels.runtime import threads
from tinygrad_mlp.kernels.runtime.executor import TableRow, build_program
from tinygrad_mlp.kernels.runtime.launch import Launch, compiled
from tinygrad_mlp.kernels.runtime.memory import address_of

ROWS = 20
STEPS = {"30 us": 30e-6, "1 ms": 1e-3, "30 ms": 30e-3}
COUNTING = "while True: pass"


def empty(arguments: int, thread: int, threads: int) -> None:
    """A kernel that does nothing."""


def times(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call, for some seconds."""
    found, now = [], time.perf_counter()
    end = now + seconds
    while now < end:
        call()
        after = time.perf_counter()
        found.append(after - now)
        now = after
    return found


def quantiles(samples: list[float]) -> dict[str, float]:
    """What is told of a distribution."""
    names = {"min": 0, "10 %": 0.1, "median": 0.5, "99 %": 0.99}
    return {name: float(np.quantile(samples, q)) for name, q in names.items()}


def dispatch(seconds: float) -> dict[str, dict[str, float]]:
    """An empty program of 20 rows, and one of none, on one thread and on all."""
    kernel = compiled(empty)
    programs = {
        f"{rows} rows, {who}": build_program([TableRow(kernel, 0)] * rows, work)
        for rows in (0, ROWS)
        for who, work in (("one thread", 0), ("all threads", 1e9))
    }
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(10):
        for name, call in programs.items():
            times(call, seconds / 10)  # the workers wake up
            samples[name] += times(call, seconds)
    return {name: quantiles(found) for name, found in samples.items()}


class Step:
    """A program of ten rows of arithmetic that takes ``seconds`` on one thread."""

    def __init__(self, seconds: float):
        rounds = int(seconds / 10 * peak("float32", 1) / vector_flops("float32"))
        self.constants = np.array([rounds])
        self.out = np.zeros(8 * threads.get_num_threads())
        self.words = np.array([address_of(self.constants), address_of(self.out)])
        rows = [TableRow(arithmetic_kernel("float32"), address_of(self.words))] * 10
        self.run_alone: Launch = build_program(rows, 0)
        self.shared: Launch = build_program(rows, seconds * 1e9)


def beside_neighbours(seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """Each step on one thread and on all, in turns, while other processes are busy."""
    steps = {name: Step(duration) for name, duration in STEPS.items()}
    found: dict[str, dict[str, dict[str, float]]] = {}
    with busy_processes(threads.available()):
        for name, step in steps.items():
            samples: dict[str, list[float]] = {"one thread": [], "all threads": []}
            for _ in range(10):
                samples["one thread"] += times(step.run_alone, seconds)
                samples["all threads"] += times(step.shared, seconds)
            found[name] = {who: quantiles(measured) for who, measured in samples.items()}
    return found


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Processes that count upwards for as long as the block lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", COUNTING]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def table(title: str, rows: dict[str, dict[str, float]]) -> Table:
    """Quantiles in microseconds, a row each."""
    grid = Table("us", *rows[next(iter(rows))], title=title)
    for name, found in rows.items():
        grid.add_row(name, *(f"{each * 1e6:,.2f}" for each in found.values()))
    return grid


def main() -> None:
    """Parse, measure, print."""
    given: argparse.Namespace = parse(__doc__ or "")
    console = Console(stderr=given.json == "-", width=max(Console().width, 100))
    figures: list[dict[str, Any]] = []
    for count in given.threads:
        if count == 1:
            continue
        tg.set_num_threads(count)
        row: dict[str, Any] = {"threads": count, "dispatch": dispatch(given.seconds)}
        console.print(table(f"dispatch, {count} threads", row["dispatch"]))
        row["steps"] = beside_neighbours(given.seconds * 5)
        row["ratios"] = {}
        for name, found in row["steps"].items():
            alone, shared = found["one thread"], found["all threads"]
            ratios = row["ratios"][name] = {key: shared[key] / alone[key] for key in alone}
            title = f"step of {name} beside busy neighbours: " + ", ".join(
                f"{key} {ratios[key]:.2f}x" for key in ("median", "99 %")
            )
            console.print(table(title, found))
        figures.append(row)
    write(given.json, {"rows": figures})


if __name__ == "__main__":
    main()
