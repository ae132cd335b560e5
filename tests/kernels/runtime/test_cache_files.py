"""A damaged, foreign or full cache: kernels are compiled again, and nothing foreign is executed."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import int64

from tests.kernels.scripts import TIMEOUT
from tinygrad_mlp.kernels.runtime import cache, cache_files
from tinygrad_mlp.kernels.runtime.launch import Launch, compiled
from tinygrad_mlp.kernels.runtime.memory import address_of, pointer

needs_owners = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")

COMPUTE = """
import tinygrad_mlp as tg
assert (tg.tensor([1.0, 2.0]) + 1).tolist() == [2.0, 3.0]
"""
COUNTED = (
    "from numba.core import event\nwith event.install_recorder('numba:run_pass') as passes:\n"
    + "".join(f"    {line}\n" for line in COMPUTE.strip().splitlines())
    + "print(len(passes.buffer) > 0)\n"
)


class Bomb:
    """What creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def python(script: str, folder: Path, **environment: str) -> tuple[str, list[str]]:
    """Run a script with its cache in ``folder``; return what it printed, and lines of errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "TINYGRAD_MLP_CACHE": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.splitlines()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for this process, with no warning given so far."""
    Launch(0, 1, [0], 0)  # which calls a kernel is loaded from the usual folder
    (tmp_path / "kernels").mkdir(mode=0o700)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "kernels")
    monkeypatch.setattr(cache_files, "_warned", set())
    return tmp_path / "kernels"


def works() -> bool:
    """Compile or load a small kernel, and call it."""

    def kernel(arguments: int, thread: int, threads: int) -> None:
        pointer(pointer(arguments, int64)[1], int64)[0] = 7

    out = np.zeros(1, np.int64)
    Launch(compiled(kernel), 1, [0], 0)(address_of(out))
    return bool(out[0] == 7)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inner").write_text("in the way")


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb(path.parent / "executed")))


def replace_behind_the_sum(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:32] + pickle.dumps(Bomb(path.parent / "executed")))


def replace_by_source(path: Path) -> None:
    path.write_text(f"open({str(path.parent / 'executed')!r}, 'w')")


DAMAGES: list[Callable[[Path], object]] = [
    cut,
    flip,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(random.Random(0).randbytes(5000)),
    replace_by_folder,
    *([replace_by_pipe] if hasattr(os, "mkfifo") else []),
    replace_by_pickle,
    replace_behind_the_sum,
    replace_by_source,
]


def test_a_damaged_entry_is_compiled_again(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert works()
    [path] = [path for path in fresh.iterdir() if path.suffix == ".code"]
    whole = path.read_bytes()
    for damage in DAMAGES:
        cache_files._warned.clear()
        damage(path)
        assert works()
        [line] = capsys.readouterr().err.splitlines()
        assert "a damaged file of the kernel cache" in line
        assert str(path) in line
        assert path.read_bytes()[:32] == cache_files._checksum(path, path.read_bytes()[32:])
        assert sorted(each.name for each in fresh.iterdir()) == sorted([path.name, "turns"])
        assert works()
        assert capsys.readouterr().err == "", "and is whole again"
    path.write_bytes(whole)
    assert works()
    assert capsys.readouterr().err == ""


def test_only_the_first_of_many_damages_is_reported(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (fresh / name).write_text("damaged")
        assert cache_files.read(fresh / name) is None
        assert not (fresh / name).exists()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_entry_is_of_one_name_in_one_folder(fresh: Path) -> None:
    cache_files.write(fresh / "a", b"content")
    assert cache_files.read(fresh / "a") == b"content"
    (fresh / "a").rename(fresh / "b")
    assert cache_files.read(fresh / "b") is None
    assert cache_files.read(fresh / "none") is None


def test_whole_entries_that_cannot_be_read_are_compiled_again(fresh: Path) -> None:
    assert works()
    [path] = [path for path in fresh.iterdir() if path.suffix == ".code"]
    for content in (b"", b"no pickle", pickle.dumps((1, 2)), pickle.dumps(None)):
        cache_files.write(path, content)
        assert works()
        assert len(cache_files.read(path) or b"") > 1000


@needs_owners
def test_entries_that_others_own_or_can_write_are_not_read(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fresh / "a"
    for mode in (0o660, 0o602):
        cache_files.write(path, b"content")
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(mode)
        assert cache_files.read(path) is None
    cache_files.write(path, b"content")
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert cache_files.read(path) is None


def test_every_file_damaged_at_once_breaks_no_start(tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    assert python(COUNTED, folder) == ("True\n", [])
    assert python(COUNTED, folder) == ("False\n", [])
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert {path.suffix for path in files} == {".py", ".code", ""}
    for first in range(0, len(DAMAGES), len(files)):
        for path, damage in zip(files, DAMAGES[first:], strict=False):
            damage(path)
        errors = python(COMPUTE, folder)[1]
        assert len(errors) == 1, errors
        assert not list(folder.rglob("executed"))
    assert python(COUNTED, folder) == ("False\n", [])


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """A temporary folder is used, for both folders."""
    python(COMPUTE, tmp_path)
    [version] = tmp_path.iterdir()
    version.rename(tmp_path / "before")
    version.write_text("in the way")
    assert python(COMPUTE + "print('done')", tmp_path)[0] == "done\n"


@needs_owners
@pytest.mark.parametrize("which", ["root", "version"])
def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, which: str) -> None:
    folder, temporary = tmp_path / "kernels", tmp_path / "temporary"
    temporary.mkdir()
    python(COMPUTE, folder)
    [version] = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == version.stat().st_mode & 0o777 == 0o700
    before = sorted((path, path.stat().st_mtime_ns) for path in version.iterdir())
    (folder if which == "root" else version).chmod(0o770)
    printed, errors = python(COUNTED, folder, TMPDIR=str(temporary))
    assert printed == "True\n", "compiled again, not loaded"
    [line] = errors
    assert "for this process only: others own or can write" in line
    assert sorted((path, path.stat().st_mtime_ns) for path in version.iterdir()) == before
    assert list(temporary.iterdir()) == [], "it goes with the process"


@needs_owners
def test_a_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINYGRAD_MLP_CACHE", str(tmp_path))
    monkeypatch.setattr(cache_files, "_warned", set())
    assert cache.folder.__wrapped__().parent == tmp_path
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert cache.folder.__wrapped__().parent != tmp_path
    assert "others own" in capsys.readouterr().err


@needs_owners
def test_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    script = "import os\nos.umask(0)\n" + COMPUTE
    folder = tmp_path / "parent" / "kernels"
    assert python(script, folder) == ("", [])
    assert python(COUNTED, folder) == ("False\n", [])


FULL = """
import resource
import tinygrad_mlp
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes there")
@pytest.mark.parametrize("size", [0, 3000])
def test_a_full_disk(tmp_path: Path, size: int) -> None:
    """No file of more than a few bytes can be written; a second start finds no half of one."""
    printed, errors = python(FULL.format(size=size) + COMPUTE + "print('done')", tmp_path)
    assert printed == "done\n"
    [line] = errors
    assert line.startswith("tinygrad_mlp: compiled kernels cannot be kept: File too large: ")
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".code"]
    assert not list(tmp_path.rglob(".*")), "no temporary files are left"
    assert python(COUNTED, tmp_path) == ("True\n", [])


def test_no_folder_can_be_written_not_even_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    script = (
        "import tempfile\ndef fail(*_, **__):\n    raise FileNotFoundError('no usable folder')\n"
        "tempfile.mkdtemp = fail\n" + COMPUTE + "print('done')"
    )
    printed, errors = python(script, tmp_path / "file" / "kernels")
    assert printed == "done\n"
    [line] = errors
    assert "compiled kernels cannot be kept" in line


def test_machine_code_is_kept_apart_by_all_that_it_depends_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = cache._digest.__wrapped__
    keys = {digest(), digest()}
    assert len(keys) == 1
    import llvmlite
    import numba

    context = type(cache.cpu_target.target_context.codegen())
    for owner, name, value in [
        (numba, "__version__", "0.0"),
        (llvmlite, "__version__", "0.0"),
        (np, "__version__", "0.0"),
        (sys, "abiflags", "x"),
        (numba.config, "OPT", 1),
        (numba.config, "LOOP_VECTORIZE", 0),
        (numba.config, "BOUNDSCHECK", 1),
        (context, "magic_tuple", lambda self: ("a", "b", "c")),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            keys.add(digest())
    assert len(keys) == 9
    for name in ("CACHE_DIR", "NUMBA_NUM_THREADS", "THREADING_LAYER"):
        with monkeypatch.context() as patch:
            patch.setattr(numba.config, name, "changed")
            assert digest() in keys
    assert digest() == cache.folder().name


def test_another_processor_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """What was compiled for one is not loaded on the other, and stays."""
    assert python(COUNTED, tmp_path)[0] == "True\n"
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert python(COUNTED, tmp_path, **other)[0] == "True\n"
    assert python(COUNTED, tmp_path, **other)[0] == "False\n"
    assert python(COUNTED, tmp_path)[0] == "False\n"
    assert len(list(tmp_path.iterdir())) == 2
