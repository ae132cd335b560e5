"""Run a module of this folder in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.soak.runs import TIMEOUT


def run(module: str, *options: object, **environment: str) -> str:
    """Run ``python -m tests.soak.<module>``; return the last line that it prints.

    AssertionError if it fails, subprocess.TimeoutExpired if it hangs.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.soak.{module}", *map(str, options)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        printed, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    assert process.returncode == 0, f"exit code {process.returncode}\n{printed}\n{errors[-6000:]}"
    return printed.splitlines()[-1]
