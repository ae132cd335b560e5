"""Write files atomically, with errors that name the file; check that a folder can be written."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WITHOUT_NAME = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
"""Errors of a write, which has a descriptor and no name: disk full, file too large, ..."""


@contextmanager
def named_errors(path: str | os.PathLike[str], other: object = None) -> Iterator[None]:
    """Raise errors of the operating system with the file name ``path``.

    This adds the name to errors of a write, and replaces ``other``, the name of a temporary file.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and error.errno in WITHOUT_NAME
        if unnamed or (other is not None and str(error.filename) == str(other)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which is renamed to ``path`` at the end.

    After an error the old file is unchanged and the temporary one is deleted. The temporary name
    keeps the suffix, because many writers choose the format by it. Errors name ``path``. A device
    or a pipe, such as ``/dev/stdout``, is written to directly: a rename would replace it by a file.
    """
    target = Path(path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        with named_errors(target):
            yield target
        return
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        with named_errors(target, temporary):
            yield temporary
            temporary.replace(target)
    finally:
        with suppress(OSError):  # the error of the write says more
            temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], content: object) -> None:
    """Write ``content`` as JSON, atomically; numbers must be finite."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def remove_temporaries(folder: Path, names: Collection[str]) -> None:
    """Delete what killed processes left of an `atomic_write` of these names in ``folder``.

    No other process may be writing them: hold the lock of the folder or the file.
    """
    for path in folder.glob(".*-*"):
        found = re.fullmatch(r"\.\d+-(.+)", path.name)
        if found and found[1] in names:
            path.unlink(missing_ok=True)


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """Create the folder ``path`` if needed, check that a file can be written into it, return it.

    Raises:
        OSError: the folder cannot be created, or no file can be written into it.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cannot write to the folder {str(folder)!r}: {reason}") from error
