"""Trainings on processors that are taken away, given back, and wanted by other processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak.processes import run
from tests.soak.runs import count

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="needs an affinity mask of two processors",
    ),
]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system lists no threads")
@pytest.mark.parametrize("phases", ["affinity", "neighbours"])
def test_same_bits_whatever_processors_there_are(
    phases: str, figure: Callable[[str], None]
) -> None:
    printed = run("phases", phases, "--steps", count("STEPS", 5000))
    figure(f"{phases}: {printed}")
    first, *others, last = json.loads(printed)["microseconds"].values()
    assert last["compiled"] < 2 * first["compiled"], "the speed of before comes back"
    assert all(each["compiled"] < 20 * first["compiled"] for each in others), "no collapse"
