"""`study.page`: one file, complete, without a network; its data are the events of `study.steps`."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.study.test_steps import Half, two_three_one
from tinygrad_mlp import nn, study


def data_of(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    (found,) = re.findall(
        r'<script type="application/json" id="data">\n?(.*?)</script>', text, re.S
    )
    return json.loads(found)


def array(data: dict[str, Any], k: int) -> np.ndarray:
    entry = data["arrays"][k]
    return np.frombuffer(base64.b64decode(entry["b"]), entry["d"]).reshape(entry["s"])


def test_gradients_of_the_page_are_those_of_backward(tmp_path: Path) -> None:
    model, x, y = two_three_one()
    study.page(lambda: F.mse_loss(model(x), y), tmp_path / "page.html", names=model)
    assert all(p.grad is None for p in model.parameters())
    F.mse_loss(model(x), y).backward()
    data = data_of(tmp_path / "page.html")
    final = {e["name"]: array(data, e["value"]) for e in data["events"] if e["kind"] == "leaf"}
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(final[name], parameter.grad.numpy())
    names = {t["name"]: t for t in data["tensors"].values()}
    np.testing.assert_array_equal(array(data, names["x"]["value"]), [[1, 2]])
    assert names["%2"]["kind"] == "result"
    assert [node["module"] for node in data["nodes"]] == ["0", "1", "2", "", ""]
    assert all(node["line"].startswith("test_page.py:") for node in data["nodes"])
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]


def test_the_file_needs_nothing_else(tmp_path: Path) -> None:
    x = tg.ones(2, requires_grad=True)
    path = tmp_path / "page.html"
    study.page(lambda: x.exp().sum(), path, names={"</script><b>": x}, title="a < b & DATA")
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|@import|https?://|fetch\(""", text)
    assert text.count("</script>") == 2
    assert "<title>a &lt; b &amp; DATA</title>" in text
    assert data_of(path)["tensors"]["l0"]["name"] == "</script><b>"


def test_a_digits_network_fits_in_two_megabytes(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    x, y = tg.rand(128, 64), tg.randint(0, 10, (128,))
    study.page(lambda: F.cross_entropy(model(x), y), tmp_path / "page.html", names=model)
    assert (tmp_path / "page.html").stat().st_size < 2e6


def test_a_tensor_computed_before_has_the_values_that_were_saved(tmp_path: Path) -> None:
    model, x, y = two_three_one()
    study.page(F.mse_loss(model(x), y), tmp_path / "page.html", names=model)
    data = data_of(tmp_path / "page.html")
    values = {t["name"]: t["value"] for t in data["tensors"].values()}
    np.testing.assert_allclose(array(data, values["%2"]), [[0.1, 2.55, 0]], rtol=1e-6)
    assert values["%1"] is None
    with study.watch(model):
        loss = F.mse_loss(model(x), y)
    study.page(loss, tmp_path / "page.html", names=model)
    data = data_of(tmp_path / "page.html")
    values = {t["name"]: t["value"] for t in data["tensors"].values()}
    np.testing.assert_allclose(array(data, values["%1"]), [[0.1, 2.55, -0.3]], rtol=1e-6)


def test_unusual_graphs(tmp_path: Path) -> None:
    """Functions, gradients that are none, several outputs, in-place ops, views, infinities."""
    x = tg.tensor([[1.0, -2.0], [float("inf"), 0.0]], requires_grad=True)
    z = tg.ones(2, requires_grad=True)

    def loss():
        y = Half.apply(x, z) * 2
        y[0].mul_(3)
        joined = tg.cat([y, y.exp(), y.T])
        return (y.softmax(1) + x.max(1).values).sum() + (joined * float("inf")).sum()

    study.page(loss(), tmp_path / "page.html")
    study.page(loss, tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    assert any(e["kind"] == "rule" and e["value"] is None for e in data["events"])


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        study.page(lambda: tg.ones(2).sum(), tmp_path / "page.html")
    with pytest.raises(TypeError, match="page: `loss` is a tensor, or a function that returns one"):
        study.page(3, tmp_path / "page.html")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="returned NoneType"):
        study.page(lambda: None, tmp_path / "page.html")  # type: ignore[arg-type, return-value]
    assert list(tmp_path.iterdir()) == []
