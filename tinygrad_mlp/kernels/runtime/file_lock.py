"""Locks between processes, by name: only one process compiles a kernel, the others wait.

A lock is the operating system's lock on one byte of a file. The system releases it when its process
ends, for any reason. A waiting process polls, so that it can stop waiting after a while. The
locks only avoid duplicate work: without them results are the same.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    import msvcrt

LONGEST = 60.0  # seconds to wait at most: the holder may be suspended
POLL = 0.002  # seconds between polls


@contextlib.contextmanager
def turn(file: Path, name: str) -> Iterator[None]:
    """Hold the lock called ``name`` in ``file``: no other process is inside such a block.

    It does not lock out other threads of the process, and must not be nested by the same name: the
    end of the inner block would release both.
    """
    handle = _open(file)
    offset = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) >> 1
    taken = _take(handle, offset)
    try:
        yield
    finally:
        if taken and handle is not None:
            _unlock(handle, offset)


@functools.cache
def _open(file: Path) -> int | None:
    """Open the file for the life of the process: closing it would release all of its locks."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return None


def _take(handle: int | None, offset: int) -> bool:
    """Wait for the lock; return False if files cannot be locked, or after a long wait."""
    end = time.monotonic() + LONGEST
    while handle is not None and time.monotonic() < end:
        try:
            _lock(handle, offset)
        except (BlockingIOError, PermissionError):  # another process holds it
            time.sleep(POLL)
        except OSError:
            return False
        else:
            return True
    return False


if os.name == "nt":

    def _lock(handle: int, offset: int) -> None:
        os.lseek(handle, offset, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

    def _unlock(handle: int, offset: int) -> None:
        os.lseek(handle, offset, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:

    def _lock(handle: int, offset: int) -> None:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)

    def _unlock(handle: int, offset: int) -> None:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, offset)
