"""TensorBoard and the report of the experiments, looked at in Chromium."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import Page

EXPERIMENTS = Path(__file__).parents[3] / "benchmarks" / "experiments"
pytestmark = pytest.mark.browser

DRAWN = """
(() => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap(
    (e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
  return all(document).filter((e) => e.matches(%r) && e.getBoundingClientRect().height > 1).length;
})()
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two experiments and their report."""
    pytest.importorskip("tensorboard")
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("experiments")
    command = [sys.executable, str(EXPERIMENTS), "--tiny", "--only", "spiral", "tensorboard"]
    command += ["--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with Page(tmp_path / "profile") as page:
        yield page


@pytest.fixture(scope="module")
def tensorboard(results: Path) -> Iterator[str]:
    """The address of TensorBoard with the events of the experiment."""
    command = [sys.executable, "-m", "tensorboard.main", "--load_fast=false"]
    command += ["--host=127.0.0.1", "--port=0", "--logdir", str(results / "tensorboard" / "events")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                    break
            else:
                pytest.fail("TensorBoard has ended without an address")
            # what it says later is read too, so that it never waits for a full pipe
            reader = threading.Thread(target=server.stderr.read)
            reader.start()
            yield found[0]
        finally:
            server.kill()
    reader.join()


def test_faults_of_a_page_are_seen(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<script>missing()</script><p>hidden: <b style='display:none'>no</b></p>")
    page.open(path.as_uri())
    assert (len(page.errors), page.text()) == (1, "hidden:")
    assert "missing is not defined" in page.errors[0]
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://a.invalid/b'}))")
    page.wait_for("document.images[0].complete")
    assert page.requests == [path.as_uri(), "http://a.invalid/b"]
    assert "ERR_NAME_NOT_RESOLVED" in page.errors[1]


@pytest.mark.parametrize("name", ["report.html", "tensorboard/report.html"])
def test_the_report_in_a_browser(page: Page, results: Path, name: str) -> None:
    address = (results / name).as_uri()
    page.open(address)
    widths = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == (3 if name == "report.html" else 2)
    assert min(widths) > 300
    assert page.text().count("What the event files hold") == 1
    links = "[...document.querySelectorAll('a[href^=\"#\"]')]"
    assert page.evaluate(f"{links}.length") == (2 if name == "report.html" else 0)
    assert page.evaluate(f"{links}.every((a) => document.querySelector(a.hash))")
    colours = set()
    for width, dark in ((1200, False), (400, False), (400, True)):
        page.resize(width, 900, dark)
        # wide tables scroll in their own boxes, the page does not
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
    assert page.errors == []
    assert page.requests == [address]


def test_tensorboard_shows_scalars(page: Page, tensorboard: str, results: Path) -> None:
    page.resize(1200, 1600)
    page.open(f"{tensorboard}?tagFilter=^(loss|accuracy|lr)$#timeseries")
    result = json.loads((results / "tensorboard" / "result.json").read_text(encoding="utf-8"))
    last = f"{result['accuracy']:.4g}"
    page.wait_for_text("3 cards", "train", "validation", "accuracy", "loss", "lr", last)
    assert page.errors == []


def test_tensorboard_shows_histograms(page: Page, tensorboard: str) -> None:
    page.resize(1200, 1600)
    page.open(f"{tensorboard}#histograms")
    page.wait_for_text("activation/hidden", "activation/relu", "gradient/hidden.weight")
    page.wait_for(DRAWN % ".histogram path.outline")
    assert page.errors == []


def test_tensorboard_shows_the_graph(page: Page, tensorboard: str) -> None:
    page.resize(1200, 1000)
    page.open(f"{tensorboard}#graphs")
    page.wait_for_text("hidden_Linear", "relu_ReLU", "output_Linear", "input")
    page.wait_for(DRAWN % "g.node")
    assert page.errors == []
