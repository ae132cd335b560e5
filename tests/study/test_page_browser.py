"""The page of `study.page` in Chromium: what it computes and shows, and how it is operated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.chromium import Page
from tests.study.test_steps import two_three_one
from tinygrad_mlp import nn, study

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("browser") / "profile") as page:
        page.resize(1280, 900)
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The browser; no script may fail, and nothing but the file may be loaded."""
    browser.errors.clear()
    browser.requests.clear()
    yield browser
    assert browser.errors == []
    assert all(url.startswith("file:") for url in browser.requests)


@pytest.fixture
def worked(tmp_path: Path) -> Path:
    """The page of the network with the worked numbers."""
    model, x, y = two_three_one()
    study.page(lambda: F.mse_loss(model(x), y), tmp_path / "page.html", names=model)
    return tmp_path / "page.html"


def press(page: Page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if key == " " else "")


def shown(page: Page, section: str) -> str:
    return page.evaluate(f"document.getElementById('{section}').innerText")


def step_of(page: Page, kind: str, op: str) -> int:
    wanted = f"e.kind === '{kind}' && nodes[e.node]?.op === '{op}'"
    return page.evaluate(f"events.findIndex((e) => {wanted})")


def test_stepping_to_the_end_shows_every_gradient(page: Page, worked: Path) -> None:
    page.open(worked.as_uri())
    count = page.evaluate("events.length")
    for _ in range(count - 1):
        page.evaluate("document.getElementById('next').click()")
    assert shown(page, "counter") == f"{count} of {count}"
    model, x, y = two_three_one()
    F.mse_loss(model(x), y).backward()
    for name, parameter in model.named_parameters():
        key = page.evaluate(f"keyOf[{json.dumps(name)}]")
        page.evaluate(f"choose('{key}', [0, 0])")
        cells = page.evaluate(
            "[...document.querySelectorAll('#tensor table')].at(-1).innerText.split(/\\s+/)"
            ".slice(2).map(Number)"
        )
        numbers = cells[-parameter.numel() :]
        np.testing.assert_allclose(numbers, parameter.grad.numpy().ravel(), rtol=1e-4)


def test_relu_of_the_worked_numbers(page: Page, worked: Path) -> None:
    """What arrived, why unit 3 sends nothing."""
    page.open(worked.as_uri())
    relu = step_of(page, "rule", "relu")
    page.evaluate(f"go({relu})")
    page.evaluate("choose(events[step].key, [0, 2])")
    text = shown(page, "event")
    assert "arrived: %2'" in text
    assert "-4.15\t2.075\t-8.3" in text
    assert "where(0 <= 0, 0, -8.3) = 0" in text
    assert "-4.15\t2.075\t0" in text


def test_formulas_and_differences_agree_with_the_engine(page: Page, tmp_path: Path) -> None:
    tg.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(4, 6), nn.Tanh(), nn.BatchNorm1d(6), nn.GELU(), nn.LayerNorm(6), nn.Dropout(0.3),
        nn.Linear(6, 3), nn.LogSoftmax(1),
    )  # fmt: skip
    x, y = tg.randn(5, 4, requires_grad=True), tg.tensor([0, 1, 2, 1, 0])
    with study.watch(model):
        out = model(x)
        loss = (
            F.nll_loss(out, y) + F.cross_entropy(out.sin(), y, label_smoothing=0.1) + x.exp().mean()
        )
    study.page(loss, tmp_path / "page.html", names=model)
    page.open((tmp_path / "page.html").as_uri())
    found = page.evaluate("verify()")
    rules = page.evaluate("events.filter((e) => e.kind === 'rule').length")
    assert found["checked"] == rules
    assert found["worst"] < 1e-5
    for key in page.evaluate("keys.filter((k) => finals[k])"):
        index = [0] * len(page.evaluate(f"tensors['{key}'].shape"))
        quotients = dict(page.evaluate(f"differences('{key}', {index})"))
        gradient = page.evaluate(f"at(finals['{key}'], {index})")
        assert quotients[1e-5] == pytest.approx(gradient, rel=1e-3, abs=1e-5), key
    page.evaluate("choose(keys.find((k) => finals[k]), [0, 0])")
    page.evaluate("document.getElementById('difference').click()")
    assert page.evaluate("document.querySelectorAll('.curve circle').length") == 9


def test_keyboard_and_deep_link(page: Page, worked: Path) -> None:
    page.open(worked.as_uri())
    count = page.evaluate("events.length")
    for key, step in (
        ("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", count), ("Home", 1)
    ):  # fmt: skip
        press(page, key)
        assert page.evaluate("step + 1") == step
        assert f"#step={step}&" in page.evaluate("location.hash")
    press(page, " ")
    page.wait_for("step > 0")
    press(page, " ")
    stopped = page.evaluate("step")
    assert page.evaluate("timer") is None
    assert page.evaluate("step") == stopped
    page.open(f"{worked.as_uri()}?again#step=18&at=n0.0:0,2")
    assert page.evaluate("step + 1") == 18
    assert page.evaluate("[chosen.key, ...chosen.index]") == ["n0.0", 0, 2]
    page.open(f"{worked.as_uri()}?wrong#step=900&at=nothing")
    assert page.evaluate("step + 1") == count


def test_not_yet_zero_and_none_are_told_apart(page: Page, worked: Path) -> None:
    page.open(worked.as_uri())
    label = "document.querySelector('[data-key=l0]').getAttribute('aria-label')"
    assert "not yet (0 of 1 reported)" in page.evaluate(label)
    press(page, "End")
    assert page.evaluate(label).endswith("gradient: complete")
    x = "document.querySelector('.box.constant').getAttribute('aria-label')"
    assert "none is wanted" in page.evaluate(x)


def test_exercise(page: Page, worked: Path) -> None:
    page.open(worked.as_uri())
    press(page, "e")
    page.evaluate(f"go({step_of(page, 'rule', 'relu')})")
    assert "= ?" in shown(page, "line")
    assert "2.075, 0" not in page.text()

    def answer(text: str) -> str:
        page.evaluate(f"document.getElementById('answer').value = {json.dumps(text)}")
        page.evaluate("document.querySelector('form').requestSubmit()")
        return shown(page, "judgement")

    assert answer("1 2") == "2 numbers were given, 3 are wanted"
    assert answer("[-4.15, 2.5, 0]").startswith(
        "wrong, largest difference 0.425 (first at number 2)"
    )
    assert answer("-4.15 2.08 0").startswith("approximate")
    assert answer("[[-4.15, 2.075, 0]]").startswith("exact")
    page.wait_for("!document.getElementById('answer')")  # then the numbers are shown


def test_accumulation_says_what_overwriting_would_give(page: Page, tmp_path: Path) -> None:
    a = tg.tensor([3.0], requires_grad=True)
    study.page(lambda: (a * a).sum(), tmp_path / "page.html", names={"a": a})
    page.open((tmp_path / "page.html").as_uri())
    page.evaluate("go(events.findIndex((e) => e.before !== null))")
    text = shown(page, "event")
    assert "would be 3 instead of 6" in text
    assert "2 of 2 consumers of a reported" in text
    assert "3 + 3 = 6" in text
    assert "3 + 3 = 6" in shown(page, "tensor")


def test_dark_and_text_of_all_steps(page: Page, worked: Path) -> None:
    page.resize(1280, 900, dark=True)
    page.open(worked.as_uri())
    back = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(back) == "rgb(21, 24, 28)"
    press(page, "t")
    assert page.evaluate(back) == "rgb(255, 255, 255)"
    page.resize(1280, 900)
    page.evaluate("document.querySelector('details').open = true")
    assert "leaf         0.bias.grad: [-4.15, 2.075, 0]" in shown(page, "events")
    page.resize(420, 800)  # a phone: only the graph and tables scroll sideways
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.resize(1280, 900)
