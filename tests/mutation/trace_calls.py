"""Record which functions of the package each test calls: a pytest plugin, and its children's hook.

``MUTATION_TRACE`` names the file to append to: one line of JSON per test, with its id, seconds and
functions (``autograd/tape.py:Node.lookup``). Calls are traced, not lines: that costs little.
Processes that a test starts are traced through a ``sitecustomize.py`` on their path; a function
that Numba compiled is not seen, its builder is.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

PACKAGE = os.sep + "tinygrad_mlp" + os.sep
called: dict[int, Any] = {}  # code objects by id, kept so that no id is used twice


def _trace(frame: Any, event: str, argument: object) -> None:
    code = frame.f_code
    if id(code) not in called:
        called[id(code)] = code


def start() -> None:
    """Trace the calls of this process's threads."""
    threading.settrace(_trace)
    sys.settrace(_trace)


def functions() -> set[str]:
    """Return the functions of the package called since the last time, and forget them."""
    found = set()
    for code in list(called.values()):
        _, inside, name = code.co_filename.rpartition(PACKAGE)
        if inside:
            found.add(f"{Path(name).as_posix()}:{code.co_qualname}")
    called.clear()
    return found


def trace_child(folder: str) -> None:
    """Trace this process; leave its functions in a file in ``folder`` at its end."""

    def leave() -> None:
        sys.settrace(None)
        Path(folder, f"{os.getpid()}-{time.monotonic_ns()}").write_text("\n".join(functions()))

    atexit.register(leave)
    start()


class Recorder:
    """The plugin: writes a line after each test."""

    def __init__(self, path: str):
        self.path, self.folder = path, tempfile.mkdtemp(prefix="mutation-trace-")
        here = Path(__file__).parent
        code = f"import sys; sys.path.append({str(here)!r}); import trace_calls\n"
        code += f"trace_calls.trace_child({self.folder!r})\n"
        hooks = Path(tempfile.mkdtemp(prefix="mutation-hook-"))
        (hooks / "sitecustomize.py").write_text(code)
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(hooks), before)))
        os.environ.pop("MUTATION_TRACE")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        called.clear()
        start()
        self.began = time.perf_counter()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        seconds, found = time.perf_counter() - self.began, functions()
        for path in Path(self.folder).iterdir():
            found.update(path.read_text().splitlines())
            path.unlink()
        line = {"test": nodeid, "seconds": round(seconds, 3), "functions": sorted(found)}
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps(line), file=file)


def pytest_configure(config: Any) -> None:
    """Start recording, where ``MUTATION_TRACE`` says where to."""
    if path := os.environ.get("MUTATION_TRACE"):
        config.pluginmanager.register(Recorder(path))
