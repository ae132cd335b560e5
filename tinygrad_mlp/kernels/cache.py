"""Where generated kernels live on disk: real source files, so that Numba caches what it compiles.

``$TINYGRAD_MLP_CACHE``, else ``$XDG_CACHE_HOME/tinygrad_mlp``, else ``~/.cache/tinygrad_mlp``; if
that folder cannot be written, a temporary one for this process. The files are there to be read.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numba


@functools.cache
def folder() -> Path:
    """The folder of this version's generated kernels, made on the first call."""
    chosen = os.environ.get("TINYGRAD_MLP_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(chosen) if chosen else Path(home) / "tinygrad_mlp"
    path = root / _digest()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        return Path(tempfile.mkdtemp(prefix="tinygrad_mlp-"))


@functools.cache
def _digest() -> str:
    """Changes with the source of any kernel and with Numba: Numba sees a kernel's own file only."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
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
