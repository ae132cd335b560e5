"""The tour: every chapter prints and leaves a page. Its numbers are examples of its docstring."""

from __future__ import annotations

import ast
import doctest
from importlib import import_module
from pathlib import Path

import pytest

from tinygrad_mlp.study import tour
from tinygrad_mlp.study.tour.__main__ import main

FOLDER = Path(tour.__file__).parent


def test_each_chapter_is_in_the_list_and_has_its_number() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "__main__"}
    assert files == {*tour.CHAPTERS}
    for number, name in enumerate(tour.CHAPTERS, 1):
        text = import_module(f"tinygrad_mlp.study.tour.{name}").__doc__
        assert text.startswith(f"Chapter {number}: ")


@pytest.mark.parametrize("name", tour.CHAPTERS)
def test_a_chapter_prints_and_leaves_a_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([name]) == 0
    printed = capsys.readouterr().out
    chapter = import_module(f"tinygrad_mlp.study.tour.{name}")
    title = chapter.__doc__.splitlines()[0].rstrip(".")
    assert title in printed
    assert f"<title>{title}</title>" in (tmp_path / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", tour.CHAPTERS)
def test_a_chapter_is_short_and_has_numbers(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source)) or ""
    prose = [line for line in source.splitlines() if not line.startswith((">>>", "..."))]
    assert len(prose) <= 90
    assert sum(bool(example.want) for example in doctest.DocTestParser().get_examples(text)) >= 2


def test_an_unknown_chapter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tiles"]) == 2
    assert "no chapter is called 'tiles'; there are: scalar_chain" in capsys.readouterr().out
