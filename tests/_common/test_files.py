import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinygrad_mlp._common.files import (
    atomic_write,
    named_errors,
    remove_temporaries,
    writable_folder,
    write_json,
)


def test_a_file_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".png"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["picture.png"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["picture.png"]


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert os.listdir(folder) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write to the folder '.*file/run': Not a directory"):
        writable_folder(tmp_path / "file" / "run")
    with pytest.raises(OSError, match=r"cannot write to the folder '.*file': File exists"):
        writable_folder(tmp_path / "file")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_errors_of_a_write_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_text("old")
    too_large = pytest.raises(OSError, match=r"File too large: .*weights\.bin")
    with too_large as caught, file_size_limit(1000), atomic_write(path) as temporary:
        temporary.write_bytes(bytes(5000))
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["weights.bin"]
    for target, error in [
        (tmp_path / "none" / "x.bin", FileNotFoundError),
        (path / "x.bin", NotADirectoryError),
        (tmp_path, IsADirectoryError),
    ]:
        with pytest.raises(error) as caught, atomic_write(target) as temporary:
            temporary.write_text("new")
        assert caught.value.filename == str(target)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_named() -> None:
    full = pytest.raises(OSError, match=r"No space left on device: 'log\.csv'")
    with full, named_errors("log.csv"), open("/dev/full", "w") as file:
        file.write("x")


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    for name in (".12-a.txt", ".12-b.txt", ".x-a.txt", "a.txt"):
        (tmp_path / name).write_text("")
    remove_temporaries(tmp_path, ["a.txt"])
    assert sorted(os.listdir(tmp_path)) == [".12-b.txt", ".x-a.txt", "a.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_json(pipe, {"x": 1})
        assert json.loads(os.read(reader, 100)) == {"x": 1}
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]
