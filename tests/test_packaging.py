"""The source archive and the wheel: what they contain, and their metadata.

`python -m build` makes the wheel from the source archive, so the archive holds all that a build
needs. Without isolation it needs no network.
"""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest

import tinygrad_mlp as tg

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).parents[1]
NAME = f"tinygrad_mlp-{tg.__version__}"
INFO = f"{NAME}.dist-info"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def files_of(folder: str) -> set[str]:
    """Return the paths of the checkout's files in a folder, without what a run leaves behind."""
    paths = (ROOT / folder).rglob("*")
    return {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both distributions, built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def archive(distributions: Path) -> set[str]:
    """Paths in the source archive, relative to its top folder."""
    with tarfile.open(distributions / f"{NAME}.tar.gz") as file:
        return {member.name.removeprefix(f"{NAME}/") for member in file if member.isfile()}


@pytest.fixture
def wheel(distributions: Path) -> set[str]:
    """Paths in the wheel."""
    with zipfile.ZipFile(distributions / f"{NAME}-py3-none-any.whl") as file:
        return set(file.namelist())


@pytest.fixture
def text_in_wheel(distributions: Path) -> Callable[[str], str]:
    """The text of a file in the wheel."""

    def read(path: str) -> str:
        with zipfile.ZipFile(distributions / f"{NAME}-py3-none-any.whl") as file:
            return file.read(path).decode()

    return read


@pytest.fixture
def metadata(text_in_wheel: Callable[[str], str]) -> Message:
    return email.message_from_string(text_in_wheel(f"{INFO}/METADATA"))


def test_source_archive_holds_package_tests_and_benchmarks(archive: set[str]) -> None:
    assert files_of("tinygrad_mlp") | files_of("tests") | files_of("benchmarks") <= archive
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", ".ci/run"} <= archive


def test_wheel_holds_the_package_alone(wheel: set[str]) -> None:
    package = files_of("tinygrad_mlp")
    assert {"tinygrad_mlp/py.typed", "tinygrad_mlp/data/files/digits.npz"} <= package
    assert {path for path in wheel if not path.startswith(f"{INFO}/")} == package


def test_wheel_holds_the_licences(wheel: set[str]) -> None:
    expected = {"LICENSE", "tinygrad_mlp/data/files/digits.txt"}  # of the code, of the digits
    assert {f"{INFO}/licenses/{path}" for path in expected} <= wheel


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "tinygrad-mlp"
    assert metadata["Version"] == tg.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == f">={PYTHONS[0]}"
    classifiers = metadata.get_all("Classifier") or []
    assert {f"Programming Language :: Python :: {version}" for version in PYTHONS} <= {*classifiers}
    required = {line.split(">=")[0] for line in metadata.get_all("Requires-Dist") or []}
    assert {"numba", "numpy", "rich", "safetensors"} <= required


def test_readme_is_the_long_description(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def test_command_is_installed(text_in_wheel: Callable[[str], str]) -> None:
    entry_points = text_in_wheel(f"{INFO}/entry_points.txt").splitlines()
    assert "tinygrad-mlp = tinygrad_mlp.cli:main" in entry_points
