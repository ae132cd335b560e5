"""The mutants of a small package, and which places are left alone."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.mutants import OPERATORS, Mutant, draw, mutants_of


def mutants(folder: Path, source: str) -> list[Mutant]:
    (folder / "a.py").write_text(source)
    return list(mutants_of(folder))


def changes(folder: Path, source: str) -> set[tuple[str, str]]:
    return {(m.operator, m.after) for m in mutants(folder, source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {("comparison", "a <= b")}),
        ("a is not b", {("comparison", "a is b")}),
        ("a not  in b", {("comparison", "a in b")}),
        (
            "a == b and c",
            {("comparison", "a != b and c"), ("comparison", "a == b or c")},
        ),
        ("x = True", {("constant", "x = False")}),
        ("x = 0.0", {("constant", "x = 1.0")}),
        ("x = 0", {("off by one", "x = 1")}),
        ("x = 3", {("constant", "x = 6"), ("off by one", "x = 4"), ("off by one", "x = 2")}),
        ("x = -a", {("sign", "x = (a)")}),
        ("x = a - b", {("sign", "x = a + b")}),
        ("x = (a) * (  # the product * of\n  b)", {("sign", "x = (a) / (  # the product * of")}),
        ("x += a", {("sign", "x -= a"), ("dropped statement", "pass")}),
        ("a[b:]", {("off by one", "a[(b) + 1:]")}),
        (
            "x = range(a, b)",
            {("swapped arguments", "x = range(b, a)"), ("off by one", "x = range(a, (b) - 1)")},
        ),
        ("f(a)", {("dropped statement", "pass")}),
        ("x = 'é' + f(a, b)", {("swapped arguments", "x = 'é' + f(b, a)")}),
        ("a.b = c", {("dropped statement", "pass")}),
        ("x = a; x = b", {("dropped statement", "x = a; pass")}),
        ("if a:\n    raise E(1 + 1)", {("dropped statement", "pass")}),
        ("def f(a):\n    if a:\n        return b\n    return c", {("dropped statement", "pass")}),
    ],
)  # fmt: skip
def test_operators(tmp_path: Path, source: str, expected: set[tuple[str, str]]) -> None:
    assert changes(tmp_path, source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""1 < 2"""',
        "x = f'{1 + a}'",
        "x = 'a' + b",
        "import a",
        "assert a < b",
        "x = max(a, b)",
        "x = zip(a, strict=True)",
        "@lru_cache(maxsize=9)\ndef f(): return a",
        "def f(a: A[1]) -> B[2]: return a",
        "x: A[1] = a",
        "if TYPE_CHECKING:\n    x = 1",
        "@overload\ndef f(a=1): ...",
        "class A(Protocol):\n    x = 1",
        "x = TypeVar('x', a, b)",
        "if sys.platform == 'no such system':\n    x = 1",
    ],
)
def test_what_is_left_alone(tmp_path: Path, source: str) -> None:
    assert changes(tmp_path, source) == set()


SOURCE = """
class A:
    def f(self, a, b):
        if a < 1 and b:
            self.a = g(a, b, a + 1)
            return -a
        for k in range(a):
            self.b.append([k, True, 2.5])
"""


def test_each_mutant_is_a_program_with_one_change_and_a_name_of_its_own(tmp_path: Path) -> None:
    found = mutants(tmp_path, SOURCE)
    assert {m.function for m in found} == {"A.f"}
    assert set(OPERATORS) == {m.operator for m in found}
    assert len({m.key for m in found}) == len(found)
    before = SOURCE.splitlines()
    for mutant in found:
        after = mutant.apply(SOURCE.encode()).decode()
        ast.parse(after)
        changed = [k for k, pair in enumerate(zip(before, after.splitlines(), strict=True), 1)
                   if pair[0] != pair[1]]  # fmt: skip
        assert changed == [mutant.line]


def test_a_seed_draws_the_same_mutants_wherever_they_stand(tmp_path: Path) -> None:
    here = [m.key for m in draw(mutants(tmp_path, SOURCE), seed=1)]
    below = [m.key for m in draw(mutants(tmp_path, "import a\n\n" + SOURCE), seed=1)]
    other = [m.key for m in draw(mutants(tmp_path, SOURCE), seed=2)]
    assert here == below != other
    assert sorted(here) == sorted(other)
    operators = [m.operator for m in draw(mutants(tmp_path, SOURCE), seed=1)]
    assert set(operators[:6]) == set(OPERATORS)
    assert max(Counter(operators[:6]).values()) == 1
