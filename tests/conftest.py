"""Configure all tests: processes, Hypothesis's settings, what tests need, unchanged global state.

Where pytest-xdist is installed, the whole suite (`python -m pytest`) runs in as many processes as
there are processors, at most four. Tests named on the command line run in one process. ``-n``
overrides both.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import tinygrad_mlp as tg
from tests import chromium
from tinygrad_mlp.autograd import tape
from tinygrad_mlp.kernels.runtime import cpu_count, storage

# An example may compile a kernel, so there is no deadline. Under CI the same examples are drawn
# every time, so that a failure there is due to the change under test.
CI = bool(os.environ.get("CI"))
settings.register_profile("default", deadline=None, print_blob=True, derandomize=CI)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Processes that a test starts import this checkout too, whatever their working directory.
CHECKOUT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (CHECKOUT, os.environ.get("PYTHONPATH"))))

DATA = os.environ.get("TINYGRAD_MLP_DATA", "")


def installed(*modules: str) -> bool:
    """Return whether all modules can be imported; a mere folder of that name does not count."""
    return all((spec := find_spec(name)) and spec.origin for name in modules)


# marker -> whether its tests can run, and what they need
NEEDS = {
    "browser": (bool(chromium.PROGRAM), " or ".join(chromium.NAMES)),
    "data": (bool(DATA) and Path(DATA).is_dir(), "a folder named by TINYGRAD_MLP_DATA"),
    "exhaustive": (bool(os.environ.get("TINYGRAD_MLP_EXHAUSTIVE")), "TINYGRAD_MLP_EXHAUSTIVE=1"),
    "packaging": (installed("build", "hatchling"), "build and hatchling"),
    "parity": (installed("torch"), "torch"),
    "soak": (bool(os.environ.get("TINYGRAD_MLP_SOAK")), "TINYGRAD_MLP_SOAK=1"),
}
deselected_counts = dict.fromkeys(NEEDS, 0)


@pytest.hookimpl(tryfirst=True)  # before xdist's own hook, which reads these options
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite in several processes.

    "worksteal" keeps neighbouring tests in one process: they use the same kernels.
    """
    if hasattr(config, "workerinput"):  # a process of xdist, which starts none of its own
        return
    options = config.option
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if whole and not options.usepdb and getattr(options, "numprocesses", 0) is None:
        options.numprocesses, options.dist = min(cpu_count.available(), 4), "worksteal"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect and count the tests whose needs are not met."""
    missing = [marker for marker, (available, _) in NEEDS.items() if not available]
    selected, deselected = [], []
    for item in items:
        unmet = [marker for marker in missing if item.get_closest_marker(marker)]
        for marker in unmet:
            deselected_counts[marker] += 1
        (deselected if unmet else selected).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = selected


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts to xdist's main process; each process has collected all tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["deselected_counts"] = deselected_counts


@pytest.hookimpl(optionalhook=True)  # of xdist
def pytest_testnodedown(node: Any, error: object) -> None:
    """Receive the counts of a process; one that crashed sent none."""
    deselected_counts.update(getattr(node, "workeroutput", {}).get("deselected_counts", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many tests were deselected, and what they need."""
    for marker, count in deselected_counts.items():
        if count:
            needed = NEEDS[marker][1]
            terminalreporter.write_line(f"deselected: {count} marked {marker}, which need {needed}")


@pytest.fixture
def data_folder() -> Path:
    """The folder named by TINYGRAD_MLP_DATA; for tests marked ``data``."""
    return Path(DATA)


@pytest.fixture(autouse=True)
def _global_state_is_unchanged() -> Iterator[None]:
    """Check that a test restores every global mode, and does not use NumPy's global generator."""
    before = _global_state()
    yield
    assert _global_state() == before


def _global_state() -> dict[str, object]:
    generator = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return {
        "np.random": (generator["pos"], generator["key"].tobytes()),
        "np.geterr": np.geterr(),
        "recording gradients": tg.is_grad_enabled(),
        "default dtype": tg.get_default_dtype(),
        "threads": tg.get_num_threads(),
    }


@pytest.fixture
def fresh_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allocate every tensor newly, so that freed memory is not reused and can be detected."""
    monkeypatch.setattr(tape, "allocate", lambda size, ring: storage.allocate(size, deque()))
