"""`tinygrad-mlp study` writes the page of a network."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path

import pytest

from tinygrad_mlp.cli import main
from tinygrad_mlp.runs import create_experiment


def wrote(capsys: pytest.CaptureFixture[str], *arguments: str) -> Path:
    assert main(["study", *arguments, "--no-browser"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return Path(re.fullmatch(r"wrote (.+)\n", printed.out)[1])  # type: ignore[index]


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["study", *arguments, "--no-browser"]) == 1
    return capsys.readouterr().err


def test_the_example_is_the_network_to_compute_by_hand(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = wrote(capsys)
    assert path.name == "study-2-3-1.html"
    text = path.read_text(encoding="utf-8")
    assert "<title>2-3-1: a backward pass, step by step</title>" in text
    assert "0.weight.grad: [[-4.15, -8.3], [2.075, 4.15], [0, 0]]" in text
    assert wrote(capsys) != path  # nothing is replaced


@pytest.mark.parametrize("name", ["digits", "spiral"])
def test_a_new_network_for_a_dataset(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = wrote(capsys, name, "--rows", "8", "--out", str(tmp_path / "page.html"))
    assert path == tmp_path / "page.html"
    assert path.stat().st_size < 2e6
    assert "cross_entropy" in path.read_text(encoding="utf-8")


def test_a_run_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    create_experiment("moons", epochs=1, out=folder, dropout=0.5).run(progress=False)
    out = str(tmp_path / "page.html")
    text = wrote(capsys, str(folder), "--out", out).read_text(encoding="utf-8")
    assert "dropout(" in text  # a pass of training
    error = failed(capsys, str(folder), "--out", out)
    assert "page.html exists: use --overwrite to replace it" in error
    wrote(capsys, str(folder), "--out", out, "--overwrite")


def test_wrong_arguments(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    error = failed(capsys, "digit")
    assert "'digit' is not 2-3-1, a dataset (digits, spiral," in error
    assert "rows" in failed(capsys, "spiral", "--rows", "0")
    assert "No such file" in failed(capsys, "--out", str(tmp_path / "none" / "page.html"))


def test_the_browser_is_opened(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or len(opened) > 1)
    for k in range(2):
        path = tmp_path / f"{k}.html"
        assert main(["study", "--out", str(path)]) == 0
        assert ("no browser was found" in capsys.readouterr().out) == (k == 0)
        assert opened[k] == path.as_uri()
