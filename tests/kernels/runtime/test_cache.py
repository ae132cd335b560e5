"""Generated kernels on disk, and the cost of an import."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.scripts import TIMEOUT, finish, run, start
from tinygrad_mlp.kernels.gemm import UNITS, source
from tinygrad_mlp.kernels.runtime import cache

COMPUTE = """
import tinygrad_mlp as tg
x = tg.tensor([1.0, 2.0, 4.0])
assert (x * x + 1).tolist() == [2.0, 5.0, 17.0]
assert x.sum().item() == 7.0
"""


def environment(folder: Path) -> dict[str, str]:
    """Nothing compiled yet: neither the generated kernels nor the package's own."""
    return {"TINYGRAD_MLP_CACHE": str(folder / "kernels"), "NUMBA_CACHE_DIR": str(folder / "numba")}


def readable(text: str) -> None:
    tree = ast.parse(text)
    about = ast.get_docstring(tree)
    assert about
    assert len(about) > 20
    assert "kernel" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert max(map(len, text.splitlines())) <= 140


def test_generated_kernels_are_python_that_a_person_can_read(tmp_path: Path) -> None:
    run(COMPUTE, **environment(tmp_path))
    files = sorted((tmp_path / "kernels").glob("*/*.py"))
    names = {file.stem.rsplit("_", 1)[0] for file in files}
    assert {"mul", "add", "sum_along"} <= names
    for file in files:
        readable(file.read_text("utf-8"))
    assert not list((tmp_path / "kernels").rglob("*.tmp")), "left half written"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("unit", ["avx512", "avx2", "neon", "plain"])
def test_the_product_of_every_vector_unit_is_readable(unit: str, dtype: str) -> None:
    for form in source.KERNELS:
        text = source.source(form, dtype, unit)
        readable(text)
        assert f", {UNITS[unit].columns(int(dtype[-2:]) // 8)}\n" in text  # the width


def test_what_was_compiled_is_not_compiled_again(tmp_path: Path) -> None:
    count = """
from numba.core import event
with event.install_recorder("numba:run_pass") as passes:
""" + "".join(f"    {line}\n" for line in COMPUTE.strip().splitlines())
    count += "print(len(passes.buffer))"
    assert int(run(count, **environment(tmp_path))) > 0
    assert int(run(count, **environment(tmp_path))) == 0


@pytest.mark.parametrize("named", ["kernels", "~/kernels"])
def test_a_folder_named_from_here_or_home(tmp_path: Path, named: str) -> None:
    """The folder stays the same when the process changes its working directory."""
    (tmp_path / "elsewhere").mkdir()
    move = f"import os, sys\nsys.path[0] = os.getcwd()\nos.chdir({str(tmp_path)!r})\n"
    run(
        move + "from tinygrad_mlp.kernels.runtime import cache\ncache.folder()\n"
        "os.chdir('elsewhere')\n" + COMPUTE + "assert cache.is_persistent()",
        **{**environment(tmp_path), "TINYGRAD_MLP_CACHE": named, "HOME": str(tmp_path)},
    )
    assert list((tmp_path / "kernels").glob("*/*.py"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Not even by root: its parent is a file. A temporary folder is used and removed at exit."""
    (tmp_path / "file").write_text("in the way")
    printed = run(
        COMPUTE + "from tinygrad_mlp.kernels.runtime import cache\nprint(cache.folder())",
        TINYGRAD_MLP_CACHE=str(tmp_path / "file" / "kernels"),
        TMPDIR=str(tmp_path),
    )
    used = Path(printed.strip())
    assert used.parent == tmp_path
    assert not used.exists()
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("TINYGRAD_MLP_CACHE", str(tmp_path))
    assert cache.folder.__wrapped__().parent == tmp_path
    monkeypatch.delenv("TINYGRAD_MLP_CACHE")
    assert cache.folder.__wrapped__().is_dir()


def test_the_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TINYGRAD_MLP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder.__wrapped__().parent == tmp_path / "tinygrad_mlp"


def test_two_processes_compile_the_same_kernel_at_once(tmp_path: Path) -> None:
    script = (
        "import tinygrad_mlp\nprint('ready', flush=True)\ninput()\n" + COMPUTE + "print('done')"
    )
    both = [start(script, **environment(tmp_path)) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:  # both start together
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        assert finish(process) == "done\n"
    run(COMPUTE, **environment(tmp_path))  # their files load


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_a_compilation(tmp_path: Path) -> None:
    """The child would wait forever for a thread that it does not have."""
    script = """
    import os, signal, threading
    import tinygrad_mlp as tg
    from tinygrad_mlp.kernels.runtime import cache

    compiling = threading.Event()

    def compile() -> None:
        with cache.compiling("test"):
            compiling.set()
            tg.ones(3).erf()

    thread = threading.Thread(target=compile)
    thread.start()
    compiling.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        tg.ones(3).tanh()
        os._exit(0)
    thread.join()
    print(os.waitpid(child, 0)[1])
    """
    assert run(script, **environment(tmp_path)) == "0\n"


def test_an_import_compiles_nothing_and_brings_no_heavy_neighbour(tmp_path: Path) -> None:
    printed = run(
        """
        import sys
        from numba.core import event
        with event.install_recorder("numba:run_pass") as passes:
            import tinygrad_mlp as tg
        heavy = {"matplotlib", "torch", "tensorboard", "jax", "rich"} & set(sys.modules)
        print(len(passes.buffer), sorted(heavy))
        with event.install_recorder("numba:run_pass") as passes:
            tg.tensor([1.0]) + 1
        print(len(passes.buffer) > 0)
        """,
        **environment(tmp_path),
    )
    assert printed == "0 []\nTrue\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_the_first_compilation_is_announced_once_on_a_terminal_only(tmp_path: Path) -> None:
    import pty

    script = COMPUTE + "import sys\nx.exp(), x.log()\nsys.stderr.write('end')\n"
    reading, writing = pty.openpty()
    command = [sys.executable, "-W", "ignore", "-c", script]
    (tmp_path / "file").write_text("in the way")
    places = [environment(tmp_path)] * 2 + [environment(tmp_path / "file")]
    told = []
    for place in places:  # cold, then warm, then without a writable folder
        subprocess.run(
            command, env={**os.environ, **place}, stderr=writing, check=True, timeout=TIMEOUT
        )
        text = ""
        while not text.endswith("end"):
            text += os.read(reading, 10_000).decode()
        told.append(text)
    os.close(reading), os.close(writing)
    assert told[0].count("compiling") == 1
    assert "tinygrad-mlp warmup" in told[0]
    assert told[1] == "end"
    assert told[2].count("compiling") == 1
    assert "this process only" in told[2]
    fresh = environment(tmp_path / "other")
    done = subprocess.run(
        command, env={**os.environ, **fresh}, capture_output=True, check=True, timeout=TIMEOUT
    )
    assert done.stderr == b"end", "a pipe is no person"


def test_nothing_is_written_beside_the_package_nor_into_an_impossible_home(tmp_path: Path) -> None:
    """Files block the folders' paths, which stops root too."""
    package = tmp_path / "site" / "tinygrad_mlp"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(cache.__file__).parents[2], package, ignore=ignored)
    for folder in (package, package / "kernels", package / "ops", tmp_path / "site"):
        (folder / "__pycache__").write_text("in the way")
    (tmp_path / "home").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    printed = run(
        f"import sys\nsys.path.insert(0, {str(package.parent)!r})\n"
        + COMPUTE
        + "print(tg.__file__)",
        TINYGRAD_MLP_CACHE="",
        HOME=str(tmp_path / "home"),
        XDG_CACHE_HOME=str(tmp_path / "home" / "caches"),
        TMPDIR=str(tmp_path / "temporary"),
    )
    assert Path(printed.strip()).parent == package
    assert list((tmp_path / "temporary").iterdir()) == [], "it goes with the process"


@pytest.mark.parametrize(
    "changed",
    [
        "gemm/tile.py",
        "runtime/slices.py",
        "codegen/lanes.py",
        "fused/softmax.py",
        "vmath/exponential.py",
        "philox.py",
    ],
)
def test_the_key_of_the_cache_covers_every_kernel(changed: str, tmp_path: Path) -> None:
    """Numba notices changes in a kernel's own file only, not in the files that it imports."""
    copy = tmp_path / "kernels"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(cache.__file__).parents[1], copy, ignore=ignored)
    before = cache._digest(copy)
    assert before == cache._digest() == cache.folder().name
    edited = shutil.copytree(copy, tmp_path / "edited")
    (edited / changed).write_text((copy / changed).read_text() + "\n")
    assert cache._digest(edited) != before
