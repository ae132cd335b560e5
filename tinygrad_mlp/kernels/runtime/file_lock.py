"""Turns between processes: while one does something by a name, others that would do it too wait.

The operating system keeps the lock, on a byte of a file, and lets go of it when its process ends,
however it ends. A process that waits looks again and again, rather than asks to be woken: so it
can lose patience. Turns save work; nothing is wrong where they are not kept.
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

LONGEST = 60.0  # seconds of waiting: a process may be stopped in the middle of its turn
LOOK = 0.002  # seconds between looks


@contextlib.contextmanager
def turn(file: Path, name: str) -> Iterator[None]:
    """No other process that takes a turn at ``file`` by the same ``name`` is inside.

    Threads of one process have to see to it themselves, and no turn is taken inside another by the
    same name: its end would end both.
    """
    handle = _open(file)
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) >> 1
    taken = _take(handle, place)
    try:
        yield
    finally:
        if taken:
            _unlock(handle, place)


@functools.cache
def _open(file: Path) -> int | None:
    """Open for the life of the process: to close it anywhere would end all turns taken by then."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return None


def _take(handle: int | None, place: int) -> bool:
    """Wait for the turn; False where files cannot be locked, and after a long wait."""
    end = time.monotonic() + LONGEST
    while handle is not None and time.monotonic() < end:
        try:
            _lock(handle, place)
        except (BlockingIOError, PermissionError):  # it is another's
            time.sleep(LOOK)
        except OSError:
            return False
        else:
            return True
    return False


if os.name == "nt":

    def _lock(handle: int, place: int) -> None:
        os.lseek(handle, place, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int, place: int) -> None:
        os.lseek(handle, place, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:

    def _lock(handle: int, place: int) -> None:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)

    def _unlock(handle: int, place: int) -> None:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, place)
