"""Experiments: each runs in its smallest form; folders, results and the report are kept whole."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

EXPERIMENTS = Path(__file__).parents[3] / "benchmarks" / "experiments"
SHARED = ("__main__", "common", "html_report")
SCRIPTS = sorted(p.stem for p in EXPERIMENTS.glob("*.py") if p.stem not in SHARED)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that imports a script much as Python does when the script is run.

    The module has another name: ``tensorboard.py`` is not the library.
    """
    monkeypatch.setattr(sys, "path", [str(EXPERIMENTS), *sys.path])
    before = set(sys.modules)

    def imported(name: str) -> ModuleType:
        if name in SHARED:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(
            f"experiment_{name}", EXPERIMENTS / f"{name}.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield imported
    for name in {*SCRIPTS, *SHARED[1:], "libraries", "processor"} - before:
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


def test_all_are_listed(load: Any, monkeypatch: Any, capsys: Any) -> None:
    path = EXPERIMENTS / "__main__.py"
    spec = importlib.util.spec_from_file_location("experiments_main", path)
    module = importlib.util.module_from_spec(spec)
    load("common")
    spec.loader.exec_module(module)
    assert sorted(module.SCRIPTS) == SCRIPTS
    readme = (EXPERIMENTS.parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\.py` \|", readme.split("## Speed")[0], re.MULTILINE)
    assert rows == list(module.SCRIPTS)
    monkeypatch.setattr(sys, "argv", ["experiments", "--help"])
    with pytest.raises(SystemExit):
        module.main()
    text = capsys.readouterr().out
    assert "  spiral          Linear softmax against one hidden layer on the spiral.\n" in text


class Page(HTMLParser):
    """Collect the open tags and the sources of images."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        elif tag not in ("meta", "br"):
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


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder like that of the experiments, for scripts of a test."""
    folder = tmp_path / "benchmarks" / "experiments"
    folder.mkdir(parents=True)
    (folder.parent / "speed").symlink_to(EXPERIMENTS.parent / "speed")
    for name in SHARED:
        (folder / f"{name}.py").symlink_to(EXPERIMENTS / f"{name}.py")
    for name in SCRIPTS:  # those that a test does not write
        (folder / f"{name}.py").touch()
    return folder


def start(*command: object) -> subprocess.Popen[str]:
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, *map(str, command)], start_new_session=True, **pipes)


SLEEPS = """
import time
from common import main

def run(experiment):
    with experiment.file("half.png", "caption") as path:
        path.write_bytes(b"half")
        print("started", flush=True)
        time.sleep(100)

main(run, "Title.")
"""


@pytest.mark.parametrize(("which", "kill"), [(0, os.kill), (1, os.kill), (1, os.killpg)])
def test_ctrl_c_leaves_no_report(scripts: Path, tmp_path: Path, which: int, kill: Any) -> None:
    script = scripts / "spiral.py"
    script.write_text(SLEEPS)
    command = ([script], [scripts, "--only", "spiral", "dropout"])[which]
    process = start(*command, "--out", tmp_path / "out")
    while process.stdout.readline() not in ("started\n", ""):
        pass
    kill(process.pid, signal.SIGINT)  # kill: this process; killpg, like a terminal: its group
    output, errors = process.communicate(timeout=60)  # until all have closed their output
    assert process.returncode == 130, errors
    assert errors.count("interrupted") == 1 + which
    assert "Traceback" not in errors
    assert "dropout" not in output
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_the_report_of_all_says_what_failed(scripts: Path, tmp_path: Path) -> None:
    text = "from common import main\n\ndef run(experiment):\n    {}\n\nmain(run, 'Title.')\n"
    (scripts / "spiral.py").write_text(text.format("open('/nowhere/to/be/found')"))
    (scripts / "dropout.py").write_text(text.format("experiment.check('gain', 2, at_least=1)"))
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    command = [scripts, "--tiny", "--only", "spiral", "dropout", "--out", out]
    refused = start(*command)
    _, errors = refused.communicate(timeout=60)
    assert (refused.returncode, errors.count("\n")) == (1, 1)
    assert "--overwrite" in errors
    (out / "mine").unlink()
    process = start(*command)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "spiral: [Errno 2] No such file or directory: '/nowhere/to/be/found'\n"
    assert "failed, or missed a target: spiral\n" in output
    text = (out / "report.html").read_text(encoding="utf-8")
    check_page(text)
    assert text.index("gain: 2, wanted at least 1") < text.index("spiral") < text.index("failed")


def test_a_result_of_an_earlier_run_is_not_reported(scripts: Path, tmp_path: Path) -> None:
    (scripts / "spiral.py").write_text("import sys\nsys.exit('spiral: too early')\n")
    old = tmp_path / "out" / "spiral" / "result.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    process = start(scripts, "--only", "spiral", "--overwrite", "--out", tmp_path / "out")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "spiral: too early\n")
    assert "0 experiments" in output
    assert list((tmp_path / "out").rglob("*.*")) == []


@pytest.mark.parametrize("data", ["nowhere", "empty"])
def test_missing_data_are_one_line(tmp_path: Path, data: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "cache").mkdir()
    environment = dict(os.environ, TINYGRAD_MLP_DATA=str(tmp_path / data))
    # no network: a proxy at a port where nobody listens
    environment |= dict.fromkeys(("https_proxy", "http_proxy"), "http://127.0.0.1:9")
    environment |= dict(no_proxy="", TINYGRAD_MLP_CACHE=str(tmp_path / "cache"))
    command = [sys.executable, str(EXPERIMENTS / "mnist_mlp.py"), "--tiny"]
    command += ["--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "TINYGRAD_MLP_DATA" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(missing, reason="needs the package tensorboard")
def test_events_of_an_earlier_run_are_not_mixed_in(load: Any, tmp_path: Path) -> None:
    script, common = load("tensorboard"), load("common")
    options = ["--tiny", "--out", str(tmp_path)]
    found = []
    for more in ([], ["--overwrite"]):
        common.main(script.run, script.__doc__, [*options, *more])
        result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
        found.append([row["events per scalar"] for row in result["runs"]])
    assert found[0] == found[1]
    assert max(found[0]) == 4  # before training, and after each of 3 epochs


def test_the_page(load: Any) -> None:
    report = load("html_report")
    text = report.prose("One `x` and\n``y``.\n\n    a  b\n      c\n\n- one\n  more\n- two <2>\n")
    assert text == (
        "<p>One <code>x</code> and <code>y</code>.</p>\n<pre>a  b\n  c</pre>\n"
        "<ul><li>one more</li><li>two &lt;2&gt;</li></ul>"
    )
    table = report.table("T", [{"a": "1,200", "b": "x"}, {"a": "1e-05", "b": "3"}])
    assert table.count('class="number"') == 3
    checks = [{"what": w, "value": None, "wanted": "", "met": w == "b"} for w in "abc"]
    checks[0]["headline"] = True
    row = dict(experiment="e", title="E", seconds=1.0, seed=0, size="quick", machine="m")
    contents = report.overview([row | {"checks": checks}], ["f"])
    for part in ("a: not finite, wanted", "MISSED 2 of 3", "failed"):
        assert part in contents
    assert "met 3" in report.overview([row | {"checks": [dict(c, met=True) for c in checks]}], [])


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
