"""Runs that are killed at random moments end with the bits of a run that nobody disturbed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.soak import runs

KILLS = runs.count("KILLS", 300)
SEED = runs.count("SEED", 0)
COLD = 16  # of this many runs, one begins with an empty cache of kernels
COLD_SECONDS = 25.0  # about how long it compiles

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read in /proc"),
]


def survivors(group: int) -> list[str]:
    """Return the processes of a group that still run (not those that only wait for a parent)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, pgrp = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            command = (folder / "cmdline").read_text()
        except OSError:  # it has ended meanwhile
            continue
        if int(pgrp) == group and state != "Z":
            found.append(command)
    return found


def last_save(folder: Path) -> int:
    """Return when the checkpoint was written, in nanoseconds; 0 if there is none."""
    path = folder / runs.CHECKPOINT
    return path.stat().st_mtime_ns if path.exists() else 0


def kill(process: subprocess.Popen[str], folder: Path, saved: int) -> str:
    """Kill a run that began when the checkpoint was of time ``saved``; return in which part."""
    process.kill()
    process.wait()
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if f".{process.pid}-{runs.CHECKPOINT}" in names:
        return "while saving a checkpoint"
    if any(name.startswith(f".{process.pid}-") for name in names):
        return "while writing another file"
    if last_save(folder) == saved:
        return "before its first checkpoint"
    return "after training" if runs.MODEL in names else "in training"


def test_killed_runs_resume_to_the_same_bits(tmp_path: Path, figure: Callable[[str], None]) -> None:
    draw = np.random.default_rng(SEED)
    kinds = runs.kinds(tmp_path)
    seconds, wanted = {}, {}
    for number, (name, kind) in enumerate(kinds.items()):
        whole = tmp_path / f"whole{number}"
        seconds[name] = kind.finish(whole)
        wanted[name] = runs.result(whole)
    moments, resumed, compared, wrong = Counter[str](), 0, 0, list[str]()
    groups: list[int] = []
    while sum(moments.values()) < KILLS:
        name = list(kinds)[compared % len(kinds)]
        kind, folder, environment = kinds[name], tmp_path / f"run{compared}", {}
        longest = seconds[name]
        if compared % COLD == COLD - 1:
            environment["TINYGRAD_MLP_CACHE"] = str(tmp_path / f"cache{compared}")
            longest = COLD_SECONDS
        for attempt in range(int(draw.integers(1, 10))):
            saved, process = last_save(folder), kind.start(folder, **environment)
            groups.append(process.pid)
            code = runs.let_run(process, draw.uniform(0, longest))
            if code is not None:
                assert code == 0, f"{name}, run {compared}: {runs.errors(folder)}"
                break
            moments[kill(process, folder, saved)] += 1
            resumed += attempt > 0
        kind.finish(folder, **environment)
        parts = runs.different(wanted[name], runs.result(folder))
        wrong += [f"{name}, run {compared}: {part}" for part in parts]
        compared += 1
        progress = f"{sum(moments.values())} kills in {compared} runs, {len(wrong)} differences"
        (tmp_path / "progress.txt").write_text(progress)
    figure(
        f"kills: {sum(moments.values())} in {compared} runs of {len(kinds)} kinds, {resumed} of "
        f"them of a run that had been killed before; {dict(moments)}; {len(wrong)} differences"
    )
    assert not wrong
    deadline = time.monotonic() + 60
    while (left := [c for group in groups for c in survivors(group)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(1)
    assert not left, "processes outlive the run that started them"


SIGNALS = runs.count("SIGNALS", 100)
STOPPED = "tinygrad-mlp: stopped"  # before or after training; in training it goes on:
AFTER_EPOCH = f"{STOPPED} after epoch "
TO_CONTINUE = "; continue the run with --resume"


def moment(name: str, code: int, printed: str) -> str:
    """Return when a signal stopped a run, or "" if exit code and message are not as documented."""
    lines = printed.splitlines()
    if code == 0 and not lines:
        return "ended before"
    if name == "SIGTERM" and code == -signal.SIGTERM and not lines:
        return "ended at once"
    if name == "SIGTERM":
        return ""
    if "KeyboardInterrupt" in printed and "tinygrad_mlp" not in printed:
        return "in Python's own start"
    if code != 130 or len(lines) != 1:
        return ""
    epoch = lines[0].removeprefix(AFTER_EPOCH).removesuffix(TO_CONTINUE)
    return "after an epoch" if epoch.isdigit() else "stopped" if lines[0] == STOPPED else ""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_runs_that_signals_stop_resume_to_the_same_bits(
    name: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    draw = np.random.default_rng(SEED)
    kind = runs.kinds(tmp_path)["digits"]
    seconds = kind.finish(tmp_path / "whole")
    wanted = runs.result(tmp_path / "whole")
    outcomes, wrong = Counter[str](), list[str]()
    for k in range(SIGNALS):
        folder = tmp_path / f"run{k}"
        process = kind.start(folder)
        runs.let_run(process, draw.uniform(0, seconds * 1.1))
        process.send_signal(getattr(signal, name))
        code, printed = process.wait(runs.TIMEOUT), runs.errors(folder)
        when = moment(name, code, printed)
        outcomes[when or "not as documented"] += 1
        if not when:
            wrong.append(f"run {k}: exit code {code}, {printed}")
        if AFTER_EPOCH in printed:
            assert (folder / runs.MODEL).is_file()
        kind.finish(folder)
        parts = runs.different(wanted, runs.result(folder))
        wrong += [f"run {k}: {part} differs" for part in parts]
    figure(f"{name}: {SIGNALS} runs: {dict(outcomes)}; {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)
