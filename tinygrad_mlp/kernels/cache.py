"""Where generated kernels live on disk: real source files, so that Numba caches what it compiles.

``$TINYGRAD_MLP_CACHE``, else ``$XDG_CACHE_HOME/tinygrad_mlp``, else ``~/.cache/tinygrad_mlp``; if
that folder cannot be written, a temporary one for this process. The files are there to be read.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numba


@functools.cache
def folder() -> Path:
    """The folder of this version's generated kernels, made on the first call."""
    try:
        path = _chosen() / _digest()
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):  # it cannot be written, or the user has no home
        path = Path(tempfile.mkdtemp(prefix="tinygrad_mlp-"))
        atexit.register(_remove, path, os.getpid())
        return path


def _chosen() -> Path:
    chosen, caches = os.environ.get("TINYGRAD_MLP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen)
    return (Path(caches) if caches else Path.home() / ".cache") / "tinygrad_mlp"


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves its parent's folder alone
        shutil.rmtree(path, ignore_errors=True)


@functools.cache
def _digest() -> str:
    """Changes with the source of any kernel and with Numba: Numba sees a kernel's own file only."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
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
    spec.loader.exec_module(module)
    return module
