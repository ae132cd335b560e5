"""Costs of running on several threads: dispatch; steps while other processes are busy.

    python benchmarks/speed/threads.py --json threads.json

A step is a program of ten rows of arithmetic, which together take 30 us, 1 ms or 30 ms on one idle
core. It runs on one thread and on all threads in turns. Meanwhile as many processes as there are
processors run an endless loop. The goal, relative to one thread under the same load: on all threads
the median takes at most 1.3 times, the 99th percentile at most 5 times as long.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from machine import arithmetic_kernel, peak, vector_flops
from report import count_threads, open_console, parse_args, print_table, write_json
from rich.table import Table

import tinygrad_mlp as tg
from tinygrad_mlp.kernels.runtime import threads
from tinygrad_mlp.kernels.runtime.executor import TableRow, build_program
from tinygrad_mlp.kernels.runtime.launch import Launch, compiled
from tinygrad_mlp.kernels.runtime.memory import address_of

Quantiles = dict[str, float]

ROWS = 20
DURATIONS = {"30 us": 30e-6, "1 ms": 1e-3, "30 ms": 30e-3}
QUANTILES = {"min": 0, "10 %": 0.1, "median": 0.5, "99 %": 0.99}
ENDLESS_LOOP = "while True: pass"


def empty(arguments: int, thread: int, threads: int) -> None:
    """A kernel that does nothing."""


def time_calls(call: Callable[[], object], seconds: float) -> list[float]:
    """Return the seconds of each call, for calls made during ``seconds``."""
    durations, now = [], time.perf_counter()
    end = now + seconds
    while now < end:
        call()
        after = time.perf_counter()
        durations.append(after - now)
        now = after
    return durations


def quantiles(samples: list[float]) -> Quantiles:
    """Return the quantiles of a distribution that the tables show."""
    return {name: float(np.quantile(samples, q)) for name, q in QUANTILES.items()}


def measure_dispatch(seconds: float, rounds: int) -> dict[str, Quantiles]:
    """Time programs of no rows and of 20 empty rows, on one thread and on all."""
    kernel = compiled(empty)
    programs = {
        f"{rows} rows, {label}": build_program([TableRow(kernel, 0)] * rows, work)
        for rows in (0, ROWS)
        for label, work in (("one thread", 0), ("all threads", 1e9))
    }
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, call in programs.items():
            time_calls(call, seconds / 10)  # the workers wake up
            samples[name] += time_calls(call, seconds)
    return {name: quantiles(durations) for name, durations in samples.items()}


class Step:
    """A program of ten rows of arithmetic that takes ``seconds`` on one thread."""

    def __init__(self, seconds: float):
        turns = int(seconds / 10 * peak("float32", 1) / vector_flops("float32"))
        self.constants = np.array([turns])
        self.out = np.zeros(8 * threads.get_num_threads())
        self.words = np.array([address_of(self.constants), address_of(self.out)])
        rows = [TableRow(arithmetic_kernel("float32"), address_of(self.words))] * 10
        self.on_one_thread: Launch = build_program(rows, 0)
        self.on_all_threads: Launch = build_program(rows, seconds * 1e9)


def measure_under_load(seconds: float, rounds: int) -> dict[str, dict[str, Quantiles]]:
    """Time each step on one thread and on all, in turns, while other processes are busy."""
    steps = {name: Step(duration) for name, duration in DURATIONS.items()}
    measured: dict[str, dict[str, Quantiles]] = {}
    with busy_processes(threads.available()):
        for name, step in steps.items():
            samples: dict[str, list[float]] = {"one thread": [], "all threads": []}
            for _ in range(rounds):
                samples["one thread"] += time_calls(step.on_one_thread, seconds)
                samples["all threads"] += time_calls(step.on_all_threads, seconds)
            measured[name] = {label: quantiles(times) for label, times in samples.items()}
    return measured


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run ``count`` processes in an endless loop during the block."""
    processes = [subprocess.Popen([sys.executable, "-c", ENDLESS_LOOP]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def quantile_table(title: str, rows: dict[str, Quantiles]) -> Table:
    """Return a table of quantiles in microseconds."""
    table = Table("us", *QUANTILES, title=title)
    for name, measured in rows.items():
        table.add_row(name, *(f"{seconds * 1e6:,.2f}" for seconds in measured.values()))
    return table


def main() -> None:
    """Parse the options, measure, print the tables and write the JSON."""
    args = parse_args(
        __doc__ or "",
        only=None,
        rounds=dict(type=int, default=10, metavar="N", help="turns of each program"),
    )
    console = open_console(args)
    figures: list[dict[str, Any]] = []
    for count in args.threads:
        if count == 1:
            continue
        tg.set_num_threads(count)
        row: dict[str, Any] = {"threads": count, "ratios": {}}
        row["dispatch"] = measure_dispatch(args.seconds, args.rounds)
        print_table(console, quantile_table(f"dispatch, {count_threads(count)}", row["dispatch"]))
        row["steps"] = measure_under_load(args.seconds * 5, args.rounds)
        for name, measured in row["steps"].items():
            one, every = measured["one thread"], measured["all threads"]
            ratios = row["ratios"][name] = {key: every[key] / one[key] for key in one}
            title = f"step of {name} while other processes are busy: " + ", ".join(
                f"{key} {ratios[key]:.2f}x" for key in ("median", "99 %")
            )
            print_table(console, quantile_table(title, measured))
        figures.append(row)
    write_json(args.json, {"rows": figures})


if __name__ == "__main__":
    main()
