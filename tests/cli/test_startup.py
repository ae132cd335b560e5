"""Ctrl-C while the command line is imported, and limits of threads and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.scripts import TIMEOUT
from tinygrad_mlp import cli
from tinygrad_mlp.kernels.runtime import threads

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
COMMANDS = {
    "module": ["-m", "tinygrad_mlp", "datasets"],
    "script": ["{script}", "datasets"],
    "library": ["-c", "import tinygrad_mlp"],
}


def interrupted(command: list[str], module: str) -> tuple[int, list[str]]:
    """Send Ctrl-C once ``module`` is imported; return the status, and what else is printed."""
    words = [sys.executable, "-X", "importtime", *command]
    lines = []
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if line.endswith(f" {module}\n"):
                process.send_signal(signal.SIGINT)
        status = process.wait(TIMEOUT)
    return status, [line for line in lines if not line.startswith("import time:")]


@needs_signals
@pytest.mark.parametrize("module", ["numpy", "numba.core.types", "tinygrad_mlp.nn.linear"])
@pytest.mark.parametrize("command", ["module", "script"])
def test_ctrl_c_during_the_import_is_quiet(command: str, module: str, tmp_path: Path) -> None:
    script = tmp_path / "tinygrad-mlp"
    script.write_text("import sys\nfrom tinygrad_mlp.cli import main\nsys.exit(main())\n")
    words = [word.format(script=script) for word in COMMANDS[command]]
    assert interrupted(words, module) == (130, [])


@needs_signals
def test_ctrl_c_during_the_import_of_the_library_raises() -> None:
    status, printed = interrupted(COMMANDS["library"], "numba.core.types")
    assert status == -signal.SIGINT
    assert printed[-1] == "KeyboardInterrupt\n"


@needs_signals
def test_ctrl_c_after_the_import_is_one_line() -> None:
    script = (
        "import os, signal, sys\nsys.argv[0] = 'tinygrad-mlp'\nfrom tinygrad_mlp import cli\n"
        "def wait(*_):\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "cli.parser = wait\nsys.exit(cli.main(['datasets']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 130
    assert done.stderr == b"tinygrad-mlp: stopped\n"


@needs_signals
@pytest.mark.parametrize(
    ("error", "line"), [("MemoryError", "out of memory"), ("OSError('no space')", "no space")]
)
def test_an_error_during_the_import_is_one_line(error: str, line: str) -> None:
    script = (
        "import sys\nsys.argv[0] = 'tinygrad-mlp'\nclass Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == 'tinygrad_mlp.kernels':\n            raise {error}\n"
        "sys.meta_path.insert(0, Finder())\nimport tinygrad_mlp"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 1
    expected = f"tinygrad-mlp: error: the package cannot be imported: {line}\n"
    assert done.stderr.decode() == expected


def test_one_thread_is_enough(tmp_path: Path) -> None:
    before = threads.get_num_threads()
    try:
        out = str(tmp_path / "run")
        assert cli.main(["train", "xor", "--epochs", "1", "--threads", "1", "--out", out]) == 0
        assert threads.get_num_threads() == 1
    finally:
        threads.set_num_threads(before)


def test_too_many_threads_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before, most = threads.get_num_threads(), threads.most_threads()
    assert most == 4 * (os.cpu_count() or 1)
    for number in ("0", "-1", str(most + 1), "3000"):
        out = str(tmp_path / "run")
        assert cli.main(["train", "spiral", "--threads", number, "--out", out]) == 1
        line = capsys.readouterr().err
        assert f"--threads must be from 1 to {most}, four times the number of " in line
        assert f"got {number}; write --threads " in line
        assert len(line.splitlines()) == 1
    assert threads.get_num_threads() == before
    assert list(tmp_path.iterdir()) == []
