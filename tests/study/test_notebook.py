"""What notebooks show."""

from __future__ import annotations

import html.parser
from typing import Any

import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.study.test_steps import two_three_one
from tinygrad_mlp import nn, study


class Cells(html.parser.HTMLParser):
    """The texts of the cells of tables; tags must be balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def parsed(value: Any) -> Cells:
    parser = Cells()
    parser.feed(value._repr_html_())
    parser.close()
    assert parser.open == []
    return parser


def test_a_tensor_is_a_table_of_its_numbers() -> None:
    found = parsed(tg.tensor([[1.0, -2.5], [float("nan"), float("inf")]], requires_grad=True))
    assert found.cells == ["1", "-2.5", "nan", "inf"]
    assert "float32 (2, 2), requires_grad" in found.text
    large = parsed(tg.zeros(50, 40, 3) + tg.ones(1, requires_grad=True))
    assert "grad_fn add; 36 of 6,000 elements" in large.text
    assert parsed(tg.tensor(3)).cells == ["3"]
    assert parsed(tg.tensor([True, False])).cells == ["1", "0"]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_an_empty_tensor(shape: tuple[int, ...]) -> None:
    assert str(shape) in parsed(tg.zeros(*shape)).text


def test_a_network_is_its_parameters() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model[0].bias.requires_grad_(False)
    found = parsed(model)
    assert found.cells[4:] == [
        "0.weight", "float32 (3, 2)", "6", "yes", "0.bias", "float32 (3,)", "3", "no"
    ]  # fmt: skip
    assert "Linear(in_features=2" in found.text


def test_a_history_is_a_table() -> None:
    found = parsed(tg.History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.25}]))
    assert found.cells == ["epoch", "loss", "1", "2", "2", "1.25"]
    assert parsed(tg.History()).cells == []


def test_tapes_programs_and_backward_passes() -> None:
    model, x, y = two_three_one()
    loss = F.mse_loss(model(x), y)
    assert "dL/d%1 = where(%2 <= 0, 0, %2')" in parsed(study.tape(loss, model)).text
    frame = study.steps(loss, names=model)._repr_html_()
    assert frame.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert frame.count('"') == 6  # the page is escaped
    step = tg.compile(lambda x: (x * 2).sum())
    step(x)
    assert "mul" in parsed(step.program).text
