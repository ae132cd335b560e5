"""The cache of kernels on disk: generated kernels as source files, and the machine code of all.

The folder is ``$TINYGRAD_MLP_CACHE``, else ``$XDG_CACHE_HOME/tinygrad_mlp``, else
``~/.cache/tinygrad_mlp``. If it cannot be written, or others can write it, it is a temporary one
for this process. The source files are meant to be read; what runs is the text in memory, and
machine code from files that `cache_files` checks. All that machine code depends on is a part of
the folder's name: see `_digest`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import hashlib
import mmap
import os
import pickle
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import njit
from numba.core import event, serialize, sigutils
from numba.core.caching import NullCache
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target

from ..._common.fork import fork_safe
from .cache_files import discard, is_private, read, warn_once, write, write_plain
from .file_lock import turn

_PACKAGE = __name__.partition(".")[0]
# Bytes of memory that must be free: LLVM ends the process where one of its allocations fails.
_TO_LOAD, _TO_COMPILE = 1 << 24, 1 << 26
_SUFFIX = ".code"  # of files of machine code
# Options of Numba that do not change machine code, and may differ from run to run.
_IRRELEVANT = ("CACHE_", "COLOR_", "DEBUG_CACHE", "NUMBA_", "THREADING_")


@functools.cache
def folder() -> Path:
    """Return the folder of this version's kernels; the first call creates it."""
    try:
        base = root()
        path = base / _digest()
        for each in (base, path):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_private(each.stat()):
                hint = f"others own or can write {str(each)!r} (chmod 700 it, if it is yours)"
                warn_once("compiled kernels are kept for this process only", hint)
                return _temporary_folder()
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):  # not writable, or the user has no home
        return _temporary_folder()


def _temporary_folder() -> Path:
    try:
        path = Path(tempfile.mkdtemp(prefix="tinygrad_mlp-"))
    except OSError:  # not even there: a path on which nothing can be read or written
        path = Path(os.devnull, "tinygrad_mlp")
    _temporary.append(path)
    atexit.register(_remove, path, os.getpid())
    return path


_temporary: list[Path] = []


def is_persistent() -> bool:
    """Return whether the folder outlives this process."""
    return folder() not in _temporary


def is_empty() -> bool:
    """Return whether nothing has been compiled yet."""
    return count() == 0


def count() -> int:
    """Return the number of compiled functions in the folder."""
    return sum(1 for _ in folder().glob(f"[!.]*{_SUFFIX}"))


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
    """Return a digest of all that machine code depends on, but for what it is compiled from.

    These are the versions of Python, NumPy, Numba and llvmlite, the processor and its features as
    Numba compiles for them, Numba's options, and the sources of all kernels, in this folder.
    """
    config: Any = numba.config
    options = {
        name: getattr(config, name)
        for name in dir(config)
        if name.isupper() and not name.startswith(_IRRELEVANT)
    }
    versions = [np.__version__, numba.__version__, llvmlite.__version__]
    python = [sys.implementation.cache_tag, getattr(sys, "abiflags", "")]
    processor = cpu_target.target_context.codegen().magic_tuple()
    digest = hashlib.sha256(repr([versions, python, processor, options]).encode())
    for source in sorted(kernels.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def load(name: str, source: str) -> ModuleType:
    """Return generated ``source`` as a module, and write it to a file of its own for readers.

    The file's name contains a digest of its text, so two processes that write it write the same
    bytes. The module is made from the text, never from the file.
    """
    stem = f"{name}_{hashlib.sha256(source.encode()).hexdigest()[:10]}"
    path, text = folder() / f"{stem}.py", source.encode()
    with contextlib.suppress(OSError):
        if path.exists() and (not path.is_file() or path.read_bytes() != text):
            discard(path)
    if not path.exists():
        write_plain(path, text)
    module = ModuleType(f"{_PACKAGE}_kernel_{stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # Numba finds a cached kernel's globals by this name
    exec(compile(source, path, "exec"), module.__dict__)
    return module


def cached_njit(signature: Any, *variant: object, **options: Any) -> Callable[..., Any]:
    """Compile a function for one signature, or load it: `numba.njit`, with our cache.

    Functions of the same name and place that differ by something else than their closures must
    differ by ``variant``.
    """

    def decorator(function: FunctionType) -> Any:
        made = njit(**options)(function)
        with _stored(made, function, (str(signature), *variant, options)):
            made.compile(signature)
        made.disable_compile()
        return made

    return decorator


def cached_cfunc(signature: Any, **options: Any) -> Callable[..., Any]:
    """Compile a C callback, or load it: `numba.cfunc`, with our cache."""

    def decorator(function: FunctionType) -> Any:
        made = CFunc(function, sigutils.normalize_signature(signature), {}, options)
        with _stored(made, function, (str(signature), options)):
            made.compile()
        return made

    return decorator


@contextlib.contextmanager
def _stored(made: Any, function: FunctionType, variant: tuple[object, ...]) -> Iterator[None]:
    """Make what Numba compiles in the block come from a file, or go into one."""
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    about = "\n".join(map(repr, (*cells, *variant, function.__code__.co_firstlineno)))
    assert " at 0x" not in about, (
        "closures of cached kernels hold numbers, names and types only, the same in any process"
    )
    digest = hashlib.sha256(about.encode())
    file = Path(function.__code__.co_filename)
    if not function.__module__.startswith(_PACKAGE):  # its source is not a part of the folder
        digest.update(file.read_bytes() if file.is_file() else os.urandom(8))
    module = function.__module__.rpartition(".")[2].removeprefix(f"{_PACKAGE}_kernel_")
    name = f"{module}.{function.__name__}_{digest.hexdigest()[:16]}"
    with compiling(name):
        made._cache = _Stored(folder() / f"{name}{_SUFFIX}")
        yield


class _Stored(NullCache):
    """What Numba calls to load and to save a compiled function: one file."""

    def __init__(self, path: Path):
        self.path = path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the function in the file, or None."""
        content = read(self.path)
        if content is None:
            _check_memory(_TO_COMPILE, "compile")
            return None
        target_context.refresh()
        try:
            return CompileResult._rebuild(target_context, *pickle.loads(content))
        except MemoryError:
            raise
        except Exception:  # whole, and of no use: nothing that we know of
            discard(self.path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the function, unless its code holds addresses of this process."""
        if not (data.library.has_dynamic_globals or data.lifted):
            write(self.path, serialize.dumps(data._reduce()))


def entry_point(function: Any) -> Callable[..., Any]:
    """Return the entry point of a jitted function with one signature.

    It skips Numba's dispatch on argument types, which takes 0.3 of 0.5 us per call: the arguments
    must have the types of the signature.
    """
    [only] = function.overloads.values()
    return only.entry_point  # type: ignore[no-any-return]


# A fork waits for the end of a compilation: it holds locks of Numba and LLVM.
_compile_lock = fork_safe(threading.RLock(), wait=True)


@contextlib.contextmanager
def compiling(name: str) -> Iterator[None]:
    """Let Numba compile or load the function ``name``, and announce the first compilation.

    While another process compiles under the same name, wait; the result is then in the folder.
    """
    _check_memory(_TO_LOAD, "load")
    with (
        _compile_lock,
        turn(folder() / "turns", name),
        event.install_listener("numba:run_pass", _announcer),
    ):
        collecting = gc.isenabled()
        gc.disable()  # saves 12 % of the time: a compilation makes few cycles
        try:
            yield
        finally:
            if collecting:
                gc.enable()


def _check_memory(size: int, purpose: str) -> None:
    """Raise MemoryError unless ``size`` bytes can be mapped; they are given back at once."""
    try:
        mmap.mmap(-1, size).close()
    except (OSError, MemoryError):
        raise MemoryError(f"cannot allocate {size:,} bytes to {purpose} a kernel") from None


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
