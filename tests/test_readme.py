"""The README's code runs and prints what the README shows."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PLAIN_SGD = "optim.SGD(model.parameters(), lr=0.1)"
PYTHON = [code for language, code in BLOCKS if language == "python"]


def run(code: str) -> str:
    """Run a block in a fresh process, as a reader would, and return what it printed."""
    command = [sys.executable, "-W", "error", "-c", code]
    with tempfile.TemporaryDirectory() as folder:  # a block may write files
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_blocks_to_run() -> None:
    assert len(PYTHON) >= 2


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_block_runs(code: str) -> None:
    assert run(code)


def test_printed_tape_is_as_shown() -> None:
    (code,) = [block for block in PYTHON if "study.tape" in block]
    shown = [text for language, text in BLOCKS if language == "text" and "backward goes up" in text]
    assert shown == [run(code)]


def test_printed_program_is_as_shown() -> None:
    (network,) = [block for block in PYTHON if "@tg.compile" in block]
    code = network.replace("optim.AdamW(model.parameters(), lr=1e-2)", PLAIN_SGD)
    assert code != network
    code = code[: code.index("for step in")] + "train_step(x, y)\nprint(train_step.program)\n"
    shown = [text for language, text in BLOCKS if language == "text" and "\nbackward\n" in text]
    assert shown == [run(code)]


def test_network_of_the_readme_learns() -> None:
    (code,) = [block for block in PYTHON if "F.cross_entropy" in block]
    loss = float(run(code).removeprefix("loss "))
    assert loss < 0.5  # three random classes start at log(3) = 1.1


def test_figures_are_given_for_each_workload_and_the_processor() -> None:
    """A row for each workload of ``benchmarks/speed/step.py``; the processor's name nearby."""
    assert "\nTABLE\n" not in README, "the table of figures is still a placeholder"
    section = README.split("\n## How fast it is\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\|(.*?)\|.*\d.*\|$", section, re.MULTILINE)
    step = (ROOT / "benchmarks" / "speed" / "step.py").read_text(encoding="utf-8")
    names = re.findall(r'^    Workload\("([^"]+)"', step, re.MULTILINE)
    assert names
    assert [name for name in names if not any(name in row.lower() for row in rows)] == []
    assert re.search(r"AMD|Intel|Xeon|EPYC|Apple|ARM|Neoverse|Graviton", section)


def test_linked_files_exist() -> None:
    paths = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_no_path_of_one_machine_is_shown() -> None:
    assert not re.search(r"/(work|root|home|tmp)/", README)
