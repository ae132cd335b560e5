"""What all tests share: processes, Hypothesis's settings, what tests need, and no leaks.

The whole suite (`python -m pytest`) runs in as many processes as there are processors, four at
most, where pytest-xdist is installed; tests that are named, in one. ``-n`` says otherwise.
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
from tinygrad_mlp.autograd import tape
from tinygrad_mlp.kernels.runtime import cpu_count, storage

# A kernel may be compiled in the middle of an example, so no deadline. Under CI the same examples
# are drawn every time: a failure there is of the change at hand.
FIXED = bool(os.environ.get("CI"))
settings.register_profile("default", deadline=None, print_blob=True, derandomize=FIXED)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# What a test starts as a process is this checkout too, wherever the process runs.
CHECKOUT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (CHECKOUT, os.environ.get("PYTHONPATH"))))

DATA = os.environ.get("TINYGRAD_MLP_DATA", "")

# marker -> whether its tests can run, and what they would need
NEEDS = {
    "data": (bool(DATA) and Path(DATA).is_dir(), "a folder named by TINYGRAD_MLP_DATA"),
    "exhaustive": (bool(os.environ.get("TINYGRAD_MLP_EXHAUSTIVE")), "TINYGRAD_MLP_EXHAUSTIVE=1"),
    "parity": (find_spec("torch") is not None, "torch"),
}
left_out = dict.fromkeys(NEEDS, 0)


@pytest.hookimpl(tryfirst=True)  # xdist's own goes by what is set here
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Use all processors for the whole suite. Neighbours share kernels: they stay together."""
    if hasattr(config, "workerinput"):  # one of these processes: it starts none of its own
        return
    chosen = config.option
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if whole and not chosen.usepdb and getattr(chosen, "numprocesses", 0) is None:
        chosen.numprocesses, chosen.dist = min(cpu_count.available(), 4), "worksteal"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, and count, the tests that need what is not here."""
    missing = {marker for marker, (there, _) in NEEDS.items() if not there}
    kept, deselected = [], []
    for item in items:
        lacking = [marker for marker in missing if item.get_closest_marker(marker)]
        for marker in lacking:
            left_out[marker] += 1
        (deselected if lacking else kept).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = kept


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes hands its counts on; each of them has collected all tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = left_out


@pytest.hookimpl(optionalhook=True)  # of xdist
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take the counts over; a process that crashed has none."""
    left_out.update(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and what would bring it in."""
    for marker, count in left_out.items():
        if count:
            wanted = NEEDS[marker][1]
            terminalreporter.write_line(f"left out: {count} marked {marker}, for want of {wanted}")


@pytest.fixture
def data_folder() -> Path:
    """The folder of TINYGRAD_MLP_DATA; for tests marked ``data``."""
    return Path(DATA)


@pytest.fixture(autouse=True)
def _global_state_is_left_as_it_was() -> Iterator[None]:
    """A mode that one test leaves on is another test's riddle. NumPy's state is the user's."""
    before = _global_state()
    yield
    assert _global_state() == before


def _global_state() -> dict[str, object]:
    drawn = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return {
        "np.random": (drawn["pos"], drawn["key"].tobytes()),
        "np.geterr": np.geterr(),
        "recording gradients": tg.is_grad_enabled(),
        "default dtype": tg.get_default_dtype(),
        "threads": tg.get_num_threads(),
    }


@pytest.fixture
def fresh_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor's memory is kept for another, so that what is freed is gone."""
    monkeypatch.setattr(tape, "allocate", lambda size, ring: storage.allocate(size, deque()))
