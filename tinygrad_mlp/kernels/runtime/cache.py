"""The cache of kernels on disk: generated kernels as source files, and the machine code of all.

The folder is ``$TINYGRAD_MLP_CACHE``, else ``$XDG_CACHE_HOME/tinygrad_mlp``, else
``~/.cache/tinygrad_mlp``. If it cannot be written, it is a temporary one for this process. The
source files are meant to be read. Each version of the kernels' sources has a folder of its own:
Numba notices changes in a kernel's own file only, not in the files that it imports.
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

_COMPILED = "compiled"  # the subfolder of Numba's files


@functools.cache
def folder() -> Path:
    """Return the folder of this version's kernels; the first call creates it."""
    try:
        path = root() / _digest()
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):  # not writable, or the user has no home
        path = Path(tempfile.mkdtemp(prefix="tinygrad_mlp-"))
        _temporary.append(path)
        atexit.register(_remove, path, os.getpid())
        return path


_temporary: list[Path] = []


def is_persistent() -> bool:
    """Return whether the folder outlives this process."""
    return folder() not in _temporary


def is_empty() -> bool:
    """Return whether nothing has been compiled yet."""
    return not (folder() / _COMPILED).exists()


def count() -> int:
    """Return the number of compiled functions in the folder."""
    return sum(1 for _ in folder().rglob("*.nbi"))


def root() -> Path:
    """Return the folder of all that is cached: kernels, and datasets in ``data/``."""
    chosen, caches = os.environ.get("TINYGRAD_MLP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    path = Path(chosen) if chosen else Path(caches or "~/.cache") / "tinygrad_mlp"
    return path.expanduser().absolute()  # the process may change its folder


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(path, ignore_errors=True)


@functools.cache
def _digest(kernels: Path = Path(__file__).parents[1]) -> str:
    """Return a digest of Numba's version and of the sources of all kernels, in this folder."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(kernels.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def load(name: str, source: str) -> ModuleType:
    """Write generated ``source`` to a file of its own and import it.

    The file's name contains a digest of its text, so two processes that write it write the same
    bytes. A rename makes the writing atomic.
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


def cached(decorate: Callable[..., Any], *variant: object) -> Callable[..., Any]:
    """Make a Numba decorator with ``cache=True`` store machine code in our folder.

    Closures over different values, and functions that differ by ``variant``, get folders of their
    own: Numba numbers them in one index, which two processes writing at once would corrupt.
    """

    def decorator(function: FunctionType) -> Any:
        cells = (cell.cell_contents for cell in function.__closure__ or ())
        about = "\n".join(map(repr, (*cells, *variant)))
        assert " at 0x" not in about, (
            "closures of cached kernels hold numbers, names and types only, the same in any process"
        )
        with compiling(f"{function.__name__}_{hashlib.sha256(about.encode()).hexdigest()[:10]}"):
            return decorate(function)

    return decorator


def entry_point(function: Any) -> Callable[..., Any]:
    """Return the entry point of a jitted function with one signature.

    It skips Numba's dispatch on argument types, which takes 0.3 of 0.5 us per call: the arguments
    must have the types of the signature.
    """
    [only] = function.overloads.values()
    return only.entry_point  # type: ignore[no-any-return]


_compile_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # no thread of a child could finish a compilation
    os.register_at_fork(
        before=_compile_lock.acquire,
        after_in_parent=_compile_lock.release,
        after_in_child=_compile_lock.release,
    )


@contextlib.contextmanager
def compiling(name: str) -> Iterator[None]:
    """Let Numba use the subfolder ``name`` of our folder, and announce the first compilation.

    While another process compiles under the same name, wait; the result is then in the folder.
    """
    with (
        _compile_lock,
        turn(folder() / "turns", name),
        event.install_listener("numba:run_pass", _announcer),
    ):
        config: Any = numba.config
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder() / _COMPILED / name)
        collecting = gc.isenabled()
        gc.disable()  # saves 12 % of the time: a compilation makes few cycles
        try:
            yield
        finally:
            config.CACHE_DIR = before
            if collecting:
                gc.enable()


class _Announcer(event.Listener):
    """Explain the wait at a terminal, once."""

    announced = False

    def on_start(self, event: event.Event) -> None:
        if not self.announced and sys.stderr is not None and sys.stderr.isatty():
            note = "cached for later runs (`tinygrad-mlp warmup` compiles them all)"
            if not is_persistent():
                note = "for this process only: no cache folder is writable (set TINYGRAD_MLP_CACHE)"
            print(f"tinygrad_mlp: compiling kernels, {note} ...", file=sys.stderr, flush=True)
        self.announced = True

    def on_end(self, event: event.Event) -> None:
        pass


_announcer = _Announcer()


def silence() -> None:
    """Do not announce compilations in this process."""
    _announcer.announced = True
