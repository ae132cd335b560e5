"""Where kernels live on disk: generated ones as source files, and the machine code of all.

``$TINYGRAD_MLP_CACHE``, else ``$XDG_CACHE_HOME/tinygrad_mlp``, else ``~/.cache/tinygrad_mlp``; if
that folder cannot be written, a temporary one for this process. The files are there to be read.
In it each version of the kernels' sources has a folder of its own: Numba looks for changes in a
kernel's own file only, not in what that imports.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numba
from numba.core import event

from .file_lock import turn

_COMPILED = "compiled"  # in our folder, for Numba's files


@functools.cache
def folder() -> Path:
    """The folder of this version's generated kernels, made on the first call."""
    try:
        path = root() / _digest()
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):  # it cannot be written, or the user has no home
        path = Path(tempfile.mkdtemp(prefix="tinygrad_mlp-"))
        _temporary.append(path)
        atexit.register(_remove, path, os.getpid())
        return path


_temporary: list[Path] = []


def lasts() -> bool:
    """Whether the folder is still there when this process has ended."""
    return folder() not in _temporary


def cold() -> bool:
    """Whether nothing has been compiled yet."""
    return not (folder() / _COMPILED).exists()


def count() -> int:
    """How many compiled functions the folder holds."""
    return sum(1 for _ in folder().rglob("*.nbi"))


def root() -> Path:
    """The folder of all that the package keeps: kernels here, downloaded datasets in ``data/``."""
    chosen, caches = os.environ.get("TINYGRAD_MLP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    path = Path(chosen) if chosen else Path(caches or "~/.cache") / "tinygrad_mlp"
    return path.expanduser().absolute()  # the process may move to another folder


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves its parent's folder alone
        shutil.rmtree(path, ignore_errors=True)


@functools.cache
def _digest() -> str:
    """Changes with the source of any kernel and with Numba."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def load(name: str, source: str) -> ModuleType:
    """Import generated ``source``, written to a file of its own first.

    The file's name carries a digest of its text, so two processes that write it write the same
    bytes, and a rename makes the writing atomic.
    """
    stem = f"{name}_{hashlib.sha256(source.encode()).hexdigest()[:10]}"
    path = folder() / f"{stem}.py"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(f"tinygrad_mlp_kernel_{stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Numba finds a cached kernel's globals by this name
    with compiling(stem):
        spec.loader.exec_module(module)
    return module


def kept(decorate: Callable, *variant: object) -> Callable:
    """A decorator of Numba's with ``cache=True``, made to keep machine code in our folder.

    Closures over different things, and functions told apart by ``variant``, get folders of their
    own: Numba numbers them in one index, which two processes that write at once would mix up.
    """

    def decorator(function: FunctionType) -> Any:
        cells = (cell.cell_contents for cell in function.__closure__ or ())
        about = "\n".join(map(repr, (*cells, *variant)))
        assert " at 0x" not in about, "numbers, names and types only: the same in any process"
        with compiling(f"{function.__name__}_{hashlib.sha256(about.encode()).hexdigest()[:10]}"):
            return decorate(function)

    return decorator


def entry(function: Any) -> Callable:
    """The compiled code of a jitted function with one signature, as Python calls it.

    Without looking at the types of the arguments, which takes Numba longer than the call (0.3 us
    of 0.5): they must be what the signature says.
    """
    [only] = function.overloads.values()
    return only.entry_point


_one_at_a_time = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child has no thread that could finish a compilation
    os.register_at_fork(
        before=_one_at_a_time.acquire,
        after_in_parent=_one_at_a_time.release,
        after_in_child=_one_at_a_time.release,
    )


@contextlib.contextmanager
def compiling(name: str) -> Iterator[None]:
    """Inside it Numba uses the folder ``name`` in ours, and says so before it first compiles.

    While another process compiles the same, it waits, and then finds that done.
    """
    with (
        _one_at_a_time,
        turn(folder() / "turns", name),
        event.install_listener("numba:run_pass", _announcer),
    ):
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder() / _COMPILED / name)
        collecting = gc.isenabled()
        gc.disable()  # a compilation makes many objects and few cycles: 12 % of its time
        try:
            yield
        finally:
            numba.config.CACHE_DIR = before
            if collecting:
                gc.enable()


class _Announcer(event.Listener):
    """Tells a person at a terminal, once, why nothing seems to happen."""

    told = False

    def on_start(self, event: event.Event) -> None:
        if not self.told and sys.stderr is not None and sys.stderr.isatty():
            so_long = "which are kept for the next time (`tinygrad-mlp warmup` compiles them all)"
            if not lasts():
                so_long = "for this process only: no folder can be written (TINYGRAD_MLP_CACHE)"
            print(f"tinygrad_mlp: compiling kernels, {so_long} ...", file=sys.stderr, flush=True)
        self.told = True

    def on_end(self, event: event.Event) -> None:
        pass


_announcer = _Announcer()


def silence() -> None:
    """Say nothing about compilations: this process is there for them."""
    _announcer.told = True
