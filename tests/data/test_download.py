from pathlib import Path

import pytest

from tests.data.server import Server
from tinygrad_mlp.data import download as module
from tinygrad_mlp.data.download import download


def accept(data: bytes) -> None:
    pass


def refuse(data: bytes) -> None:
    if data != b"right":
        raise ValueError(f"these are not the right bytes: {data!r}")


def test_what_is_served_is_written(server: Server, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000  # more than one chunk
    server.files["file"] = data
    path = tmp_path / "new" / "folder" / "file"
    download([server.url("file")], path, accept)
    assert path.read_bytes() == data
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_mirrors_are_asked_in_turn_until_one_is_right(server: Server, tmp_path: Path) -> None:
    server.files |= {
        "cut/f": b"right",
        "wrong/f": b"wrong",
        "right/f": b"right",
        "later/f": b"right",
    }
    server.cut.add("cut/f")
    mirrors = ["missing/f", "cut/f", "wrong/f", "right/f", "later/f"]
    download([server.url(path) for path in mirrors], tmp_path / "f", refuse)
    assert (tmp_path / "f").read_bytes() == b"right"
    assert server.asked == mirrors[:-1]


def test_when_all_mirrors_fail_each_reason_is_given_and_no_file_is_left(
    server: Server, tmp_path: Path
) -> None:
    server.files |= {"cut/f": b"right", "wrong/f": b"wrong"}
    server.cut.add("cut/f")
    urls = [server.url(path) for path in ("missing/f", "cut/f", "wrong/f")]
    with pytest.raises(OSError, match="f could not be downloaded: ") as failed:
        download([*urls, "http://127.0.0.1:1/f"], tmp_path / "new" / "f", refuse)
    reasons = str(failed.value)
    assert f"{urls[0]}: HTTP Error 404" in reasons
    assert f"{urls[1]}: the connection ended at byte 2 of 5" in reasons
    assert f"{urls[2]}: these are not the right bytes: b'wrong'" in reasons
    assert "http://127.0.0.1:1/f: " in reasons
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_does_not_answer_is_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files |= {"slow/f": b"right", "f": b"right"}
    server.slow.add("slow/f")
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    download([server.url("slow/f"), server.url("f")], tmp_path / "f", refuse)
    assert server.asked == ["slow/f", "f"]


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(
    server: Server, tmp_path: Path
) -> None:
    server.files["f"] = b"right"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        download([server.url("f")], tmp_path / "file" / "f", refuse)
    (tmp_path / "f").mkdir()
    with pytest.raises(OSError, match="f"):
        download([server.url("f")], tmp_path / "f", refuse)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "file"]


def test_an_interrupt_leaves_nothing(server: Server, tmp_path: Path) -> None:
    def interrupt(data: bytes) -> None:
        raise KeyboardInterrupt

    server.files["f"] = b"right"
    with pytest.raises(KeyboardInterrupt):
        download([server.url("f")], tmp_path / "new" / "f", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_answer_is_cut_off(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    monkeypatch.setattr(module, "CHUNK", 10_000)
    server.files |= {"long/f": bytes(1_000_000), "right/f": bytes(100_000)}
    with pytest.raises(OSError, match="long/f: the file has more than 100,000 bytes"):
        download([server.url("long/f")], tmp_path / "f", accept)
    assert list(tmp_path.iterdir()) == []
    download([server.url("long/f"), server.url("right/f")], tmp_path / "f", accept)
    assert (tmp_path / "f").stat().st_size == 100_000
