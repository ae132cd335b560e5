"""Mutants of every kind of file are read, or refused with the documented error.

TINYGRAD_MLP_SOAK_MUTANTS is their number (100,000), TINYGRAD_MLP_SOAK_SEED their seed (1). One of
them is read again by ``python -m tests.soak.readers SEED NUMBER 1 /dev/null``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

COUNT = int(os.environ.get("TINYGRAD_MLP_SOAK_MUTANTS", "100000"))
SEED = os.environ.get("TINYGRAD_MLP_SOAK_SEED", "1")
PROCESSES = min(os.cpu_count() or 1, 4)
BATCH = 10_000  # a process needs as long to start as to read 3,000
WANTED = ("result", "documented")


def read_batch(first: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Return the outcomes of some mutants, read in a process, and descriptions of failures."""
    count, progress = min(BATCH, COUNT - first), folder / f"progress-{first}"
    arguments = (sys.executable, "-m", "tests.soak.readers", SEED, str(first), str(count), progress)
    process = subprocess.run(arguments, capture_output=True, text=True, timeout=3600)
    if process.returncode:
        at = progress.read_text().strip() if progress.exists() else "none"
        reason = (
            f"mutant {at} of seed {SEED}: exit code {process.returncode}: {process.stderr[-500:]}"
        )
        return Counter({"process died": 1}), [reason]
    found = json.loads(process.stdout.splitlines()[-1])
    return Counter(found["counts"]), found["failures"]


@pytest.mark.soak
def test_mutants_are_read_or_refused_as_documented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    failures: list[str] = []
    with ThreadPoolExecutor(PROCESSES) as pool:
        for found, failed in pool.map(read_batch, range(0, COUNT, BATCH), [tmp_path] * COUNT):
            counts += found
            failures += failed
            with capsys.disabled():
                print(f"{sum(counts.values()):,} read, {len(failures)} failures", flush=True)
    totals: Counter[str] = Counter()
    for name, number in counts.items():
        totals[name.split()[-1]] += number
    with capsys.disabled():
        print(f"\n{sum(counts.values()):,} mutants of seed {SEED}: {dict(totals)}")
        for name, number in sorted(counts.items()):
            print(f"  {name:28} {number:,}")
    assert not failures, "\n".join(failures[:100])
    assert sum(totals[name] for name in WANTED) == COUNT
