"""The structure of the package: imports run one way, files are short, what is public is described.

Names that the project has retired stay retired: see `RETIRED`.
"""

from __future__ import annotations

import ast
import pkgutil
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinygrad_mlp

PACKAGE = Path(__file__).parent.parent / "tinygrad_mlp"
SOURCES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}
FOLDERS = sorted({path.parent for path in SOURCES.values()})

# Each level may import from the levels above it. Entries of one level never import each other.
LEVELS = [
    {"version", "_common"},
    {"kernels"},
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
LEVEL = {entry: level for level, entries in enumerate(LEVELS) for entry in entries}

# Modules that were renamed, by the path that they had.
RETIRED_FILES = """
tensor.py show.py tape.py backward.py mode.py hooks.py files.py watch.py clip.py autograd.py
ops/op.py ops/values.py ops/dtypes.py ops/elementwise.py ops/arithmetic.py ops/losses.py
ops/transcendental.py ops/activation.py ops/fused.py ops/matmul.py ops/softmax.py ops/update.py
ops/cross_entropy.py ops/batch_norm.py ops/layer_norm.py ops/dropout.py ops/batch.py ops/view.py
ops/index.py ops/join.py ops/interop.py ops/arguments.py kernels/cache.py kernels/turns.py
kernels/threads.py kernels/atomics.py kernels/processors.py kernels/memory.py kernels/storage.py
kernels/layout.py kernels/launch.py kernels/executor.py kernels/shares.py kernels/scalar.py
kernels/elementwise.py kernels/reduction.py kernels/rows.py kernels/softmax.py
kernels/cross_entropy.py kernels/batch_norm.py kernels/layer_norm.py kernels/blocks.py
kernels/gather.py kernels/finite.py kernels/arg.py kernels/extremes.py program/__init__.py
program/ir.py program/capture.py program/guard.py program/arguments.py program/kind.py
program/compiled.py program/schedule.py program/arena.py program/bind.py program/pace.py
program/text.py program/measure.py program/explain.py program/interpret.py compiler/interpret.py
nn/call.py optim/group.py optim/saved.py optim/schedule.py optim/one_cycle.py optim/plateau.py
optim/lr_scheduler.py data/arguments.py data/random.py data/splitting.py data/generated.py
data/table.py data/columns.py data/scaling.py data/preparation.py data/tabular.py data/arrays.py
train/loop.py train/course.py train/runner.py train/prepare.py train/interrupt.py
train/diagnosis.py train/outputs.py train/recipes.py train/settings.py train/choices.py
train/job.py train/saved_run.py train/warmup.py runs/recipes.py cli/options.py
"""

# Names that were replaced: of classes, functions, methods and attributes, wherever they stand ...
RETIRED = """
Kind Surroundings Moment Course _Training _Measuring Runner Job Outcome Wish results_are
views_are clear_of _beside uphill stepped bernoulli_mask amax_ politely opaque verdict
no_gradient without_gradient lasts
"""
# ... and in one folder or file, where the word has an ordinary meaning elsewhere.
RETIRED_IN = {
    "autograd/": "edge wrote renew leave shared assume refuse gate fit",
    "ops/": "wrote renew leave shared gate",
    "ops/reduce.py": "fit",
    "_tensor.py": "fit leave",
    "nn/": "leave Call",
    "compiler/": "takes still holds apart moment assume refuse gate Call Row",
    "optim/": "assume refuse leave",
    "train/": "Training Run told said prepare leave",
    "cli/": "ahead told said",
    "kernels/runtime/cache.py": "kept told",
}


def entry_of(name: str) -> str:
    """The folder or file directly below the package that a source belongs to."""
    return name.split("/")[0].removesuffix(".py")


TYPING = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def type_checking_only(tree: ast.AST) -> set[ast.AST]:
    """The nodes under ``if TYPE_CHECKING:``."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in TYPING
        for statement in node.body
        for inner in ast.walk(statement)
    }


def imported_modules(name: str, tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """The paths of what a source imports from the package, anywhere in it but for types."""
    package = name.split("/")[:-1]
    skipped = type_checking_only(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            if node.level:
                base = [*package[: len(package) - node.level + 1], *module]
            elif module[0] == "tinygrad_mlp":
                base = module[1:]
            else:
                continue
            yield from ((*base, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith("tinygrad_mlp."):  # given to import_module
                yield (*node.value.split(".")[1:], "")
        elif isinstance(node, ast.Import):
            yield from (
                tuple(alias.name.split(".")[1:])
                for alias in node.names
                if alias.name.split(".")[0] == "tinygrad_mlp"
            )


def wrong_ways(name: str, tree: ast.AST) -> set[str]:
    """The entries that a source imports from and must not."""
    own = entry_of(name)
    found = {
        path[0] if path and path[0] in LEVEL else "__init__"
        for path in imported_modules(name, tree)
    }
    return {other for other in found if other != own and LEVEL[other] >= LEVEL[own]}


def dependencies(sources: dict[str, ast.Module]) -> dict[str, set[str]]:
    """For each file, the files that it imports."""

    def file_of(path: tuple[str, ...]) -> str | None:
        for parts in (path, path[:-1]):  # the name may be a module, or something in one
            for file in ("/".join(parts) + ".py", "/".join((*parts, "__init__.py"))):
                if file in sources:
                    return file
        return None

    return {
        name: {file for path in imported_modules(name, tree) if (file := file_of(path))} - {name}
        for name, tree in sources.items()
    }


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The files on a circle, or between two: neither the first nor the last of any chain."""

    def peeled(graph: dict[str, set[str]]) -> dict[str, set[str]]:
        left = dict(graph)
        while ends := {name for name, needed in left.items() if not needed & left.keys()}:
            left = {name: needed for name, needed in left.items() if name not in ends}
        return left

    left = peeled(graph)
    return set(peeled({name: {n for n in left if name in left[n]} for name in left}))


def retired_names(name: str, tree: ast.AST) -> set[str]:
    """The retired names that a source defines, uses or imports.

    Those of `RETIRED` may not be variables, parameters or keywords either.
    """
    in_place = {
        n for place, names in RETIRED_IN.items() if name.startswith(place) for n in names.split()
    }
    defined, used = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Attribute):
            defined.add(node.attr)
        elif isinstance(node, ast.alias):
            defined |= {node.name.split(".")[-1], node.asname or ""}
        elif isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, (ast.arg, ast.keyword)):
            used.add(node.arg or "")
    return (defined | used) & set(RETIRED.split()) | defined & in_place


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def lines_of(function: ast.FunctionDef) -> int:
    """The lines of a function's signature and code, without its docstring."""
    first = function.body[0]
    prose = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return function.end_lineno - function.lineno + 1 - prose * (first.end_lineno - first.lineno + 1)


def public(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    definitions = (ast.FunctionDef, ast.ClassDef)
    found = [n for n in tree.body if isinstance(n, definitions) and not n.name.startswith("_")]
    return [n for n in found if "overload" not in map(ast.unparse, n.decorator_list)]


@pytest.mark.parametrize("name", SOURCES)
def test_imports_run_one_way(name):
    assert wrong_ways(name, TREES[name]) == set()


def test_a_wrong_import_is_noticed():
    def wrong(name, code):
        return wrong_ways(name, ast.parse(code))

    assert wrong("ops/add.py", "from .._tensor import Tensor") == {"_tensor"}
    assert wrong("nn/linear.py", "from ..optim import SGD") == {"optim"}
    assert wrong("kernels/x.py", "def f():\n    from .. import autograd") == {"autograd"}
    assert wrong("autograd/tape.py", "from tinygrad_mlp.ops import op") == {"ops"}
    assert wrong("data/csv.py", "import tinygrad_mlp.nn") == {"nn"}
    assert wrong("ops/add.py", "from ..kernels.runtime.layout import dense") == set()
    assert wrong("ops/add.py", "if TYPE_CHECKING:\n    from .._tensor import Tensor") == set()
    assert wrong("ops/add.py", "if not TYPE_CHECKING:\n    from ..nn import Linear") == {"nn"}
    assert wrong("ops/add.py", "import_module('tinygrad_mlp.train')") == {"train"}


def test_no_circle_among_files():
    assert circles(dependencies(TREES)) == set()


def test_a_circle_is_noticed():
    sources = {
        "a.py": "from . import b",
        "b.py": "def f():\n    from .c import x",
        "c.py": "from .a import y",
        "d.py": "from .a import y",
        "e.py": "if TYPE_CHECKING:\n    from .f import z",
        "f.py": "from . import e",
    }
    trees = {name: ast.parse(code) for name, code in sources.items()}
    assert circles(dependencies(trees)) == {"a.py", "b.py", "c.py"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_folder_says_in_which_order_to_read_it(folder):
    """The docstring of ``__init__.py`` names every file and folder beside it."""
    text = ast.get_docstring(TREES[(folder / "__init__.py").relative_to(PACKAGE).as_posix()])
    beside = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    beside -= {"__init__", "__main__", "version"}
    missing = {name for name in beside if f"{name}.py" not in text and f"{name}/" not in text}
    assert missing == set()


def test_every_module_is_found_by_the_docstring_test():
    """`pkgutil` skips a folder without ``__init__.py``, and with it the examples there."""
    walked = {m.name for m in pkgutil.walk_packages(tinygrad_mlp.__path__, "tinygrad_mlp.")}
    files = {
        ".".join(["tinygrad_mlp", *Path(name).with_suffix("").parts]).removesuffix(".__init__")
        for name in SOURCES
    }
    assert files == walked | {"tinygrad_mlp"}


@pytest.mark.parametrize("name", SOURCES)
def test_no_example_is_skipped(name):
    assert "doctest: +SKIP" not in SOURCES[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RETIRED_FILES.split())
def test_retired_file_is_gone(name):
    assert name not in SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_retired_names_are_gone(name):
    assert retired_names(name, TREES[name]) == set()


def test_a_retired_name_is_noticed():
    def retired(name, code):
        return retired_names(name, ast.parse(code))

    assert retired("compiler/x.py", "class Kind: pass") == {"Kind"}
    assert retired("train/x.py", "with sigint.politely(): pass") == {"politely"}
    assert retired("autograd/x.py", "def edge(value): pass") == {"edge"}
    assert retired("study/x.py", "def edge(value): pass") == set()
    assert retired("ops/x.py", "from .random import bernoulli_mask") == {"bernoulli_mask"}
    assert retired("ops/x.py", "verdict = f(opaque=1)") == {"verdict", "opaque"}
    assert retired("ops/x.py", "def f(uphill): pass") == {"uphill"}
    assert retired("ops/x.py", "async def politely(): pass") == {"politely"}


@pytest.mark.parametrize("name", SOURCES)
def test_file_fits_in_a_sitting(name):
    assert len(SOURCES[name].read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", SOURCES)
def test_functions_fit_on_a_screen(name):
    assert [f.name for f in functions(TREES[name]) if lines_of(f) > 60] == []


@pytest.mark.parametrize("name", SOURCES)
def test_all_that_is_public_is_described(name):
    assert ast.get_docstring(TREES[name]), "the file has no docstring"
    assert [node.name for node in public(TREES[name]) if not ast.get_docstring(node)] == []


def test_the_formatter_is_rarely_switched_off():
    """``# fmt: skip`` is for tables of constants: 60 at most."""
    found = [
        name
        for name, path in SOURCES.items()
        for line in path.read_text(encoding="utf-8").splitlines()
        if "# fmt: " in line
    ]
    assert len(found) <= 60


TOP = {"CHANGELOG.md", "LICENSE", "README.md", "benchmarks", "pyproject.toml", "tests"}


def test_the_top_level_is_fixed() -> None:
    """What a command wrote into the checkout is not committed with it."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is not a checkout of git")
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True)
    tops = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in tops if name[0] != "."} == TOP | {"tinygrad_mlp"}
