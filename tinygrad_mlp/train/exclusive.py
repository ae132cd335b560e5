"""Lock files: one training at a time writes to a folder or to a checkpoint."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._common.files import named_errors
from .._common.fork import fork_safe
from ..kernels.runtime import file_lock

OFFSET = 1 << 30  # of the locked byte, behind the text: Windows forbids reading locked bytes
_guard = fork_safe(threading.Lock())
_held: dict[str, int] = {}
"""The process that holds a lock file, by its path: the system's lock admits its other threads."""


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold the lock of a folder or of a file while the block runs.

    The lock is the operating system's, on a file that is deleted at the end: ``.lock`` in the
    folder, or ``.NAME.lock`` beside the file. It ends with its process, also after ``kill -9``:
    then the next process takes the file over. On a file system without locks this does nothing.

    Raises:
        BlockingIOError: another process or thread holds it; the message names process and host.
        OSError: the lock file cannot be written.
    """
    path, pid = lock_path(target), os.getpid()
    key = os.path.realpath(path)
    with _guard, named_errors(target, path):
        if _held.get(key) == pid:
            raise _refusal(target, _owner())
        handle = _acquire(path, target)
        _held[key] = pid
    try:
        yield
    finally:
        if os.getpid() == pid:  # not in a child that was forked inside the block
            with _guard, suppress(OSError):  # Windows does not delete an open file
                path.unlink()
            _held.pop(key, None)
            os.close(handle)


def check_unlocked(target: Path) -> None:
    """Raise BlockingIOError if another process or thread holds the lock of ``target``."""
    if lock_path(target).exists():
        with exclusive(target):
            pass


def lock_path(target: Path) -> Path:
    """Return the lock file of a folder or of a file."""
    return target / ".lock" if target.is_dir() else target.with_name(f".{target.name}.lock")


def _acquire(path: Path, target: Path) -> int:
    """Open and lock the file; return its handle, which holds the lock until it is closed."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _lock(handle, target) and not _is(path, handle):  # its holder has just deleted it
                os.close(handle)
                continue
            os.ftruncate(handle, 0)
            os.write(handle, _owner().encode())
        except BaseException:
            os.close(handle)
            raise
        return handle


def _lock(handle: int, target: Path) -> bool:
    """Lock the file; return False if its file system has no locks."""
    try:
        file_lock._lock(handle, OFFSET)
    except (BlockingIOError, PermissionError):
        owner = os.read(handle, 400).decode(errors="replace")
        raise _refusal(target, owner or "another process") from None
    except OSError:
        return False
    return True


def _is(path: Path, handle: int) -> bool:
    """Return whether the path still names the open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(handle))
    return False


def _owner() -> str:
    return f"process {os.getpid()} on host {socket.gethostname()}"


def _refusal(target: Path, owner: str) -> BlockingIOError:
    return BlockingIOError(
        f"{target} is in use: {owner} is training into it; wait until it ends, or choose another "
        "place"
    )
