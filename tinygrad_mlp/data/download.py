"""Files from the network: whole and right, or not there.

Python's own ``urllib`` fetches them. What a library such as pooch would add is a check of the
compressed file, which differs from mirror to mirror; here the contents are checked.
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


def download(urls: Sequence[str], path: Path, check: Callable[[bytes], object]) -> None:
    """Write to ``path`` what the first of ``urls`` gives that answers and passes ``check``.

    ``check`` gets the bytes and raises ValueError if they are not the right ones. Nothing is left
    of an attempt that failed: the bytes are checked in memory, and written under a temporary name.

    Raises:
        OSError: no mirror gave the right bytes, and the message says why of each; or the folder
            cannot be written.
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
    """The bytes at ``url``, all that were announced; on a terminal, a bar shows how many came."""
    from rich.console import Console
    from rich.progress import wrap_file

    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        announced = int(response.headers.get("Content-Length") or 0)
        bar = wrap_file(
            response,
            announced,
            description=url.rsplit("/", 1)[-1],
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        with bar as file:
            data = b"".join(iter(lambda: file.read(CHUNK), b""))
    if announced and len(data) != announced:
        raise OSError(f"the connection ended at byte {len(data)} of {announced}")
    return data
