"""Run benchmark scripts as a user does, with very short turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "speed"
SHORT = ["--rounds", "1", "--seconds", "0.005"]


def script(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script with options."""
    command = [sys.executable, "-W", "error", str(BENCHMARKS / f"{name}.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def figures(name: str, *options: str, turns: Sequence[str] = SHORT) -> list[dict[str, Any]]:
    """Return the rows that a script writes as JSON to stdout; its tables go to stderr."""
    done = script(name, *turns, *options, "--json", "-")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = written(done)["rows"]
    assert rows
    return rows


def written(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON on a script's stdout; check that JSON and tables name the machine."""
    found: dict[str, Any] = json.loads(done.stdout)
    machine = found["machine"]
    assert machine.keys() == {"processor", "vector_unit", "processors", "system", "python", "numpy"}
    heading = done.stderr.splitlines()[0]
    assert heading.startswith(f"{machine['processor']}, {machine['vector_unit']}, ")
    assert f"{machine['processors']} processor" in heading
    return found


def check_rows(rows: list[dict[str, Any]], names: set[str], threads: int) -> None:
    """Check rows of cases: names, plausible times, and shares of the roofline."""
    assert {row["name"] for row in rows} == names
    for row in rows:
        assert row["threads"] == threads
        assert "NumPy" in row["seconds"] or "SciPy" in row["seconds"] or "PyTorch" in row["seconds"]
        assert any(name.startswith("ours") for name in row["seconds"])
        for timing in row["seconds"].values():
            assert 0 < timing["low"] <= timing["median"] <= timing["high"] < 10
            assert timing["first_call"] > 0
        work = {row["dtype"]: row["flops"]}
        shortest = max(work.get(k, row["bytes"]) / limit for k, limit in row["limits"].items())
        assert all(limit > 1e8 for limit in row["limits"].values())
        assert row["roofline_seconds"] == shortest > 0
        for name, share in row["share"].items():
            assert share == shortest / row["seconds"][name]["median"]
