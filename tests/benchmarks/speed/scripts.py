"""Benchmark scripts, run as a person runs them, but for an instant only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "speed"
SHORT = ["--rounds", "1", "--seconds", "0.005"]


def script(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The script run with options."""
    command = [sys.executable, "-W", "error", str(BENCHMARKS / f"{name}.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def figures(name: str, *options: str) -> list[dict[str, Any]]:
    """The rows that it writes as JSON; the tables go to stderr then."""
    done = script(name, *SHORT, *options, "--json", "-")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    assert rows
    return rows


def check_rows(rows: list[dict[str, Any]], names: set[str], threads: int) -> None:
    """Rows of cases: their names, times that can be, and shares of what the machine can do."""
    assert {row["name"] for row in rows} == names
    for row in rows:
        assert row["threads"] == threads
        assert "NumPy" in row["seconds"] or "SciPy" in row["seconds"] or "PyTorch" in row["seconds"]
        assert any(name.startswith("ours") for name in row["seconds"])
        for timing in row["seconds"].values():
            assert 0 < timing["low"] <= timing["median"] <= timing["high"] < 10
            assert timing["first_call"] > 0
        work = {row["dtype"]: row["flops"]}
        least = [work.get(of, row["bytes"]) / limit for of, limit in row["limits"].items()]
        assert all(limit > 1e8 for limit in row["limits"].values())
        assert row["least"] == max(least) > 0
        for name, share in row["share"].items():
            assert share == row["least"] / row["seconds"][name]["median"]
