"""Scripts in processes of their own, for what only a fresh process can show."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

TIMEOUT = 120  # seconds; a kernel that waits forever must fail, not hang


def start(script: str, **environment: str) -> subprocess.Popen[str]:
    """Python on ``script``, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], given: str = "", timeout: float = TIMEOUT) -> str:
    """What the process prints, once it has ended well."""
    try:
        printed, errors = process.communicate(given, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, f"exit code {process.returncode}\n{printed}\n{errors}"
    return printed


def run(script: str, **environment: str) -> str:
    """What a script prints."""
    return finish(start(script, **environment))
