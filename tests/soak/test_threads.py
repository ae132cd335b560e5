"""Threads that train at once, and forks of a process whose threads are at work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak.processes import run
from tests.soak.runs import count

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("case", ["warm", "cold", "restless"])
def test_trainings_in_threads_equal_those_alone(
    case: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    environment = {"TINYGRAD_MLP_CACHE": str(tmp_path)} if case == "cold" else {}
    options = ["--trainings", count("TRAININGS", 72)]
    options += ["--restless"] if case == "restless" else []
    figure(f"threads, {case}: {run('trainings', *options, **environment)}")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_of_a_busy_process_compute(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """The cache is empty, so that the threads compile kernels during the forks."""
    printed = run("forks", "--forks", count("FORKS", 200), TINYGRAD_MLP_CACHE=str(tmp_path))
    figure(f"forks: {printed}")
