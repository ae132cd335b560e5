"""The limits of this machine: arithmetic on registers, bytes from each cache and from memory.

    python benchmarks/speed/roofline.py --threads 1 2 --json roofline.json

Each figure is the best of many short runs: what the machine can do when nothing disturbs it.
"""

from __future__ import annotations

from typing import Any

from machine import CHAINS, LEVELS, STREAMS, peak, stream
from report import open_console, parse_args, print_table, write_json
from rich.table import Table

FORMULAS = {"read": "s += a", "copy": "a = b", "update": "a = s a + b", "triad": "a = b + s c"}


def measure(threads: int, seconds: float) -> dict[str, Any]:
    """Measure FLOP/s by dtype, and bytes/s by level of memory and stream."""
    return {
        "threads": threads,
        "flops": {dtype: peak(dtype, threads, seconds) for dtype in ("float32", "float64")},
        "bytes": {
            level: {name: stream(name, threads, level, seconds) for name in STREAMS}
            for level in LEVELS
        },
    }


def arithmetic_table(rows: list[dict[str, Any]]) -> Table:
    """Return the rates of multiply-adds that read no memory."""
    title = f"GFLOP/s of {CHAINS} independent multiply-adds on vectors in registers"
    table = Table("threads", "float32", "float64", title=title)
    for row in rows:
        rates = (f"{rate / 1e9:,.1f}" for rate in row["flops"].values())
        table.add_row(str(row["threads"]), *rates)
    return table


def stream_table(rows: list[dict[str, Any]]) -> Table:
    """Return the rates of loops over float64 arrays; each array counts once per direction."""
    columns = (f"{name}: {FORMULAS[name]}" for name in STREAMS)
    table = Table("threads", "from", *columns, title="GB/s of streams")
    for row in rows:
        for level, measured in row["bytes"].items():
            rates = (f"{rate / 1e9:,.1f}" for rate in measured.values())
            table.add_row(str(row["threads"]), level, *rates)
    return table


def main() -> None:
    """Parse the options, measure, print the tables and write the JSON."""
    args = parse_args(__doc__ or "", only=None, rounds=None)
    console = open_console(args)
    with console.status("measuring"):
        rows = [measure(threads, args.seconds) for threads in args.threads]
    for table in (arithmetic_table(rows), stream_table(rows)):
        print_table(console, table)
    write_json(args.json, {"rows": rows})


if __name__ == "__main__":
    main()
