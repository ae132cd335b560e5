"""The limits of this machine: arithmetic from registers, bytes from each cache and from memory.

    python benchmarks/roofline.py --threads 1 2 --json roofline.json

The best of many short runs, which is what the machine can do when nobody disturbs it.
"""

from __future__ import annotations

import argparse
import platform
from typing import Any

from machine import CHAINS, LEVELS, STREAMS, peak, stream
from report import parse, write
from rich.console import Console
from rich.table import Table

from tinygrad_mlp.kernels.gemm import host


def measure(threads: int, seconds: float) -> dict[str, Any]:
    """FLOP/s by dtype, and bytes/s by level of memory and stream."""
    return {
        "threads": threads,
        "flops": {dtype: peak(dtype, threads, seconds) for dtype in ("float32", "float64")},
        "bytes": {
            level: {name: stream(name, threads, level, seconds) for name in STREAMS}
            for level in LEVELS
        },
    }


def arithmetic(rows: list[dict[str, Any]]) -> Table:
    """Multiply-adds that read no memory."""
    title = f"GFLOP/s of {CHAINS} independent multiply-adds on {host()} vectors"
    grid = Table("threads", "float32", "float64", title=title)
    for row in rows:
        grid.add_row(str(row["threads"]), *(f"{each / 1e9:,.1f}" for each in row["flops"].values()))
    return grid


def streams(rows: list[dict[str, Any]]) -> Table:
    """Loops over float64 arrays; what a loop reads and writes counts once each."""
    forms = {"read": "s += a", "copy": "a = b", "update": "a = s a + b", "triad": "a = b + s c"}
    columns = (f"{name}: {forms[name]}" for name in STREAMS)
    grid = Table("threads", "from", *columns, title="GB/s of streams")
    for row in rows:
        for level, found in row["bytes"].items():
            rates = (f"{each / 1e9:,.1f}" for each in found.values())
            grid.add_row(str(row["threads"]), level, *rates)
    return grid


def main() -> None:
    """Parse, measure, print."""
    given: argparse.Namespace = parse(__doc__ or "")
    console = Console(stderr=given.json == "-", width=max(Console().width, 100))
    console.print(f"{platform.machine()}, {platform.processor() or 'unnamed processor'}")
    with console.status("measuring"):
        rows = [measure(threads, given.seconds) for threads in given.threads]
    console.print(arithmetic(rows))
    console.print(streams(rows))
    write(given.json, {"rows": rows})


if __name__ == "__main__":
    main()
