"""Download a file so that it is either complete and correct, or absent.

Python's ``urllib`` is enough. A library such as pooch would add a checksum of the compressed file,
but that differs between mirrors; here the decompressed contents are checked.
"""

from __future__ import annotations

import http.client
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from .._common.files import atomic_write

TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 16
MAX_BYTES = 1 << 28  # the largest file has 26 million


def download(urls: Sequence[str], path: Path, check: Callable[[bytes], object]) -> None:
    """Download ``path`` from the first of ``urls`` that answers with correct bytes.

    The bytes are checked in memory and written atomically: a failed attempt leaves no file.

    Args:
        urls: addresses of the same file, in order of preference.
        path: where to write; the folder is created.
        check: called with the bytes; raises ValueError if they are wrong.

    Raises:
        OSError: no address gave the right bytes (the message has the reason for each), or the
            folder cannot be written.
    """
    reasons = []
    for url in urls:
        try:
            data = _get(url)
            check(data)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(f"{url}: {error or type(error).__name__}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_bytes(data)
        return
    raise OSError(f"{path.name} could not be downloaded: " + "; ".join(reasons))


def _get(url: str) -> bytes:
    """Return all bytes at ``url``; on a terminal, show a progress bar."""
    from rich.console import Console
    from rich.progress import wrap_file

    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        size = int(response.headers.get("Content-Length") or 0)
        bar = wrap_file(
            response,
            size,
            description=url.rsplit("/", 1)[-1],
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        with bar as file:
            chunks, received = [], 0
            while received <= MAX_BYTES and (chunk := file.read(CHUNK)):
                chunks.append(chunk)
                received += len(chunk)
    if received > MAX_BYTES:
        raise OSError(f"the file has more than {MAX_BYTES:,} bytes")
    data = b"".join(chunks)
    if size and len(data) != size:
        raise OSError(f"the connection ended at byte {len(data)} of {size}")
    return data
