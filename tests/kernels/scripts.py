"""Run scripts in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

TIMEOUT = 120  # seconds, so that a kernel that waits forever fails the test


def start(script: str, **environment: str) -> subprocess.Popen[str]:
    """Start Python on ``script``, with pipes for its input and output."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], text: str = "", timeout: float = TIMEOUT) -> str:
    """Send ``text``, wait for the process to end without error, and return what it printed."""
    try:
        printed, errors = process.communicate(text, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, f"exit code {process.returncode}\n{printed}\n{errors}"
    return printed


def run(script: str, **environment: str) -> str:
    """Run a script and return what it printed."""
    return finish(start(script, **environment))
