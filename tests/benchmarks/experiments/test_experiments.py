"""Experiments: each runs in its smallest form; folders, results and the report are kept whole."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

EXPERIMENTS = Path(__file__).parents[3] / "benchmarks" / "experiments"
SCRIPTS = sorted(p.stem for p in EXPERIMENTS.glob("*.py") if p.stem not in ("common", "__main__"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that imports a script much as Python does when the script is run.

    The module has another name: ``tensorboard.py`` is not the library.
    """
    monkeypatch.setattr(sys, "path", [str(EXPERIMENTS), *sys.path])
    before = set(sys.modules)

    def imported(name: str) -> ModuleType:
        if name == "common":
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(
            f"experiment_{name}", EXPERIMENTS / f"{name}.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield imported
    for name in {*SCRIPTS, "common", "libraries", "processor"} - before:
        sys.modules.pop(name, None)


MNIST = ("best_mnist", "ensemble", "mnist_mlp", "mnist_networks", "optimizers")
MARKS = dict.fromkeys(MNIST, pytest.mark.data)
missing = importlib.util.find_spec("tensorboard") is None
MARKS["tensorboard"] = pytest.mark.skipif(missing, reason="needs the package tensorboard")
MARKED = [pytest.param(n, marks=MARKS[n]) if n in MARKS else n for n in SCRIPTS]


@pytest.mark.parametrize("name", MARKED)
def test_the_smallest_form_runs(name: str, load: Any, tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    script, common = load(name), load("common")
    common.main(script.run, script.__doc__, ["--tiny", "--seed", "5", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert (result["experiment"], result["seed"], result["size"]) == (name, 5, "tiny")
    assert result["items"]
    check_page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert capsys.readouterr().out.count("\n") > 3


def test_all_are_in_the_list_of_main(load: Any) -> None:
    path = EXPERIMENTS / "__main__.py"
    spec = importlib.util.spec_from_file_location("experiments_main", path)
    module = importlib.util.module_from_spec(spec)
    load("common")
    spec.loader.exec_module(module)
    assert sorted(module.SCRIPTS) == SCRIPTS


class Page(HTMLParser):
    """Collect the open tags and the sources of images."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        elif tag not in ("meta", "li"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_page(text: str) -> Page:
    """Check that tags are closed in order and that no other file is needed."""
    found = Page()
    found.feed(text)
    assert found.open == []
    assert all(source.startswith("data:image/") for source in found.images)
    return found


def make(common: ModuleType, folder: Path, size: str = "quick") -> Any:
    return common.Experiment("name", "Title.\n\nMore <b>.\n", 0, size, common.claim(folder, False))


def test_a_result_has_what_was_recorded(load: Any, tmp_path: Path) -> None:
    experiment = make(load("common"), tmp_path)
    experiment.table("T <1>", [{"name": "a&b", "value": np.float32(0.5)}, {"name": "c"}])
    experiment.record(loss=[np.float64("nan"), 1.0], counts=np.arange(3))
    with experiment.file("picture.png", "caption") as path:
        path.write_bytes(b"abc")
    assert experiment.check("accuracy", 0.97, at_least=0.98) is False
    assert experiment.finish() == 1
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert (result["title"], result["loss"], result["counts"]) == ("Title", [None, 1.0], [0, 1, 2])
    assert result["checks"] == [
        {"what": "accuracy", "value": 0.97, "wanted": "at least 0.9800", "met": False}
    ]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert check_page(text).images == ["data:image/png;base64,YWJj"]
    for part in ("T &lt;1&gt;", "a&amp;b", "0.5000", "More &lt;b&gt;", "MISSED"):
        assert part in text


@pytest.mark.parametrize(
    ("value", "limits", "met"),
    [
        (1.0, {"at_least": 1.0}, True),
        (0.5, {"at_most": 0.4}, False),
        (0.5, {"at_least": 0.4, "at_most": 0.6}, True),
        (float("nan"), {"at_least": 0.0}, False),
        (float("nan"), {"at_most": 0.0}, False),
    ],
)
def test_checks(load: Any, tmp_path: Path, value: float, limits: Any, met: bool) -> None:
    experiment = make(load("common"), tmp_path)
    assert experiment.check("x", value, **limits) is met
    assert experiment.finish() == int(not met)


def test_a_missed_check_of_the_smallest_form_does_not_fail(load: Any, tmp_path: Path) -> None:
    experiment = make(load("common"), tmp_path, size="tiny")
    experiment.check("x", 0.0, at_least=1.0)
    assert experiment.finish() == 0


def test_names_of_the_result_are_not_overwritten(load: Any, tmp_path: Path) -> None:
    experiment = make(load("common"), tmp_path)
    experiment.record(loss=1)
    for name in ("loss", "seed"):
        with pytest.raises(ValueError, match=name):
            experiment.record(**{name: 2})


def test_a_folder_with_files_is_not_written_to(load: Any, tmp_path: Path) -> None:
    common = load("common")
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="--overwrite"):
        common.claim(tmp_path, False)
    with pytest.raises(FileExistsError):
        common.claim(tmp_path / "mine.txt", False)
    (tmp_path / "result.json").write_text("{}")
    common.claim(tmp_path, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no data: do this"), RuntimeError])
def test_an_interrupted_run_leaves_no_result(load: Any, tmp_path: Path, error: Any) -> None:
    common = load("common")

    def run(experiment: Any) -> None:
        with experiment.file("half.png", "caption") as path:
            path.write_bytes(b"half")
            raise error

    with pytest.raises(RuntimeError if error is RuntimeError else SystemExit) as caught:
        common.main(run, "Title.", ["--out", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []
    if isinstance(error, OSError):
        assert "no data: do this" in str(caught.value)


def test_the_command_line(tmp_path: Path) -> None:
    def script(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(EXPERIMENTS / "spiral.py"), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert "softmax" in script("--help").stdout
    (tmp_path / "x").touch()
    done = script("--tiny", "--out", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--overwrite" in done.stderr
    assert "--seed" in script("--seed", "-1", "--out", str(tmp_path / "new")).stderr
