"""Locks between processes, and a process that does not release its lock."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.kernels.scripts import finish, start
from tinygrad_mlp.kernels.runtime import cache, file_lock

TAKE = """
from pathlib import Path
from tinygrad_mlp.kernels.runtime.file_lock import turn
with turn(Path({file!r}), {name!r}):
    print("inside", flush=True)
    input()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "turns"


def inside(file: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock "a"."""
    other = start(TAKE.format(file=str(file), name="a"))
    assert other.stdout is not None
    assert other.stdout.readline() == "inside\n"
    return other


@pytest.fixture
def waits(file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], bool]:
    """Return whether acquiring the lock waits until the timeout."""
    naps: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=naps.append)
    monkeypatch.setattr(file_lock, "time", clock)
    monkeypatch.setattr(file_lock, "LONGEST", 0.1)

    def waits(name: str, file: Path = file) -> bool:
        naps.clear()
        with file_lock.turn(file, name):
            return bool(naps)

    return waits


def test_one_waits_until_the_other_is_done(file: Path, waits: Callable[[str], bool]) -> None:
    other = inside(file)
    assert not waits("b"), "another name is free"
    assert waits("a")
    finish(other, "\n")
    assert not waits("a")


def test_who_is_killed_gives_the_turn_back(file: Path, waits: Callable[[str], bool]) -> None:
    other = inside(file)
    other.kill()
    other.communicate()
    assert not waits("a")


def test_a_turn_is_given_back_after_an_error(file: Path) -> None:
    with pytest.raises(KeyError), file_lock.turn(file, "a"):
        raise KeyError
    finish(inside(file), "\n")


def test_where_no_file_can_be_made_nobody_waits(tmp_path: Path, waits: Callable[..., bool]) -> None:
    assert not waits("a", tmp_path / "missing" / "turns")


def test_kernels_are_compiled_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[Path, str]] = []

    @contextlib.contextmanager
    def turn(file: Path, name: str) -> Iterator[None]:
        taken.append((file, name))
        yield

    monkeypatch.setattr(cache, "turn", turn)
    with cache.compiling("a_kernel"):
        assert taken == [(cache.folder() / "turns", "a_kernel")]
