"""The files of the kernel cache: nothing is used that others can write, or that is damaged.

A file begins with a checksum of its name, its folder's name and its content. The checksum finds
damage. It does not stop another user, who can compute it too: files and folders are used only if
this user owns them and nobody else can write them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path

from ..._common.files import atomic_write

_SUM = hashlib.sha256().digest_size
# A pipe in the place of a file must not block; Windows has no such flag, but distinguishes text.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)


def is_private(status: os.stat_result) -> bool:
    """Return whether this user owns a file or folder, and nobody else can write it."""
    if not hasattr(os, "geteuid"):  # Windows
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def read(path: Path) -> bytes | None:
    """Return the content of a file, or None if there is none; a damaged file is deleted."""
    try:
        with open(os.open(path, _READ), "rb") as file:
            status = os.fstat(file.fileno())
            usable = stat.S_ISREG(status.st_mode) and is_private(status)
            data = file.read() if usable else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # a folder is there, for example
        data = b""
    content = data[_SUM:]
    if data[:_SUM] == _checksum(path, content):
        return content
    discard(path)
    return None


def write(path: Path, content: bytes) -> None:
    """Write a file atomically, with a checksum; if that fails, there is no file."""
    write_plain(path, _checksum(path, content) + content)


def write_plain(path: Path, data: bytes) -> None:
    """Write a file atomically, as it is; if that fails, there is no file, or the one before."""
    try:
        with atomic_write(path) as temporary, open(os.open(temporary, _WRITE, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        reason = error.strerror or str(error)
        warn_once("compiled kernels cannot be kept", f"{reason}: {str(path.parent)!r}")


def discard(path: Path) -> None:
    """Delete a damaged file, or what is in its place."""
    warn_once("a damaged file of the kernel cache is deleted and made again", path)
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _checksum(path: Path, content: bytes) -> bytes:
    digest = hashlib.sha256(f"{path.parent.name}/{path.name}\n".encode())
    digest.update(content)
    return digest.digest()


_warned: set[str] = set()


def warn_once(cause: str, what: object) -> None:
    """Print a warning of one line, once per process for each cause.

    It is not a Python warning, which could be turned into an error: the cache is no reason to stop.
    """
    if cause not in _warned and sys.stderr is not None:
        print(f"tinygrad_mlp: {cause}: {what}", file=sys.stderr, flush=True)
    _warned.add(cause)
