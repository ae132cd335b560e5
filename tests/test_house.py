"""The house: imports run one way, files and functions are short, what is public is described."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tinygrad_mlp"
SOURCES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}

# Each may import what stands above it, and its own; those on one line never import each other.
FLOORS = [
    {"version", "_common", "kernels"},
    {"autograd", "data"},
    {"ops"},
    {"_repr"},
    {"_tensor"},
    {"serialization"},
    {"compiler"},
    {"nn"},
    {"optim"},
    {"train"},
    {"study"},
    {"runs"},
    {"cli"},
    {"__main__", "__init__"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room(name: str) -> str:
    """The folder or file directly below the package that a source belongs to."""
    return name.split("/")[0].removesuffix(".py")


def imported_rooms(name: str, tree: ast.AST) -> set[str]:
    """The rooms that a source imports from, anywhere in it."""
    depth = name.count("/")
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == depth + 1:  # from .. reaches the package itself
                names = [module.split(".")[0]] if module else [alias.name for alias in node.names]
                found |= set(names)
            elif module.split(".")[0] == "tinygrad_mlp":
                found.add(module.split(".")[1] if "." in module else "__init__")
        elif isinstance(node, ast.Import):
            found |= {"__init__" for a in node.names if a.name.split(".")[0] == "tinygrad_mlp"}
    return found


def wrong_ways(name: str, tree: ast.AST) -> set[str]:
    """The rooms that a source imports from and must not."""
    own = room(name)
    return {
        other for other in imported_rooms(name, tree) if other != own and FLOOR[other] >= FLOOR[own]
    }


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines_of(function: ast.FunctionDef) -> int:
    """The lines of a function's signature and code; its docstring is read elsewhere."""
    first = function.body[0]
    prose = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return function.end_lineno - function.lineno + 1 - prose * (first.end_lineno - first.lineno + 1)


def public(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


@pytest.mark.parametrize("name", SOURCES)
def test_imports_run_one_way(name):
    assert wrong_ways(name, TREES[name]) == set()


def test_a_wrong_import_is_noticed():
    assert wrong_ways("ops/add.py", ast.parse("from .._tensor import Tensor")) == {"_tensor"}
    assert wrong_ways("nn/linear.py", ast.parse("from ..optim import SGD")) == {"optim"}
    assert wrong_ways("kernels/x.py", ast.parse("def f():\n    from .. import autograd")) == {
        "autograd"
    }
    assert wrong_ways("autograd/tape.py", ast.parse("from tinygrad_mlp.ops import op")) == {"ops"}
    assert (
        wrong_ways("ops/add.py", ast.parse("from ..kernels.runtime.layout import dense")) == set()
    )


@pytest.mark.parametrize("name", SOURCES)
def test_file_fits_in_a_sitting(name):
    assert len(SOURCES[name].read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", SOURCES)
def test_functions_fit_on_a_screen(name):
    assert [f.name for f in functions(TREES[name]) if lines_of(f) > 60] == []


@pytest.mark.parametrize("name", SOURCES)
def test_all_that_is_public_is_described(name):
    assert ast.get_docstring(TREES[name]), "the file says nothing about itself"
    assert [node.name for node in public(TREES[name]) if not ast.get_docstring(node)] == []
