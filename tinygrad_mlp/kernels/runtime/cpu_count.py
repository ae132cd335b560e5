"""How many processors this process may use: by its affinity mask and the quotas of its cgroups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available(root: Path = Path("/")) -> int:
    """At least one; a quota of two and a half processors counts as two.

    ``root`` is where the system's files are: another folder in tests.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min([count, *_quotas(root)]))


def _quotas(root: Path) -> Iterator[int]:
    """The processors that each cgroup around this process is given, where it has a quota."""
    for folder in _cgroups(root):
        try:
            if (folder / "cpu.max").exists():  # version 2
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            if int(quota) > 0:  # version 1 says -1 for none
                yield int(quota) // int(period)
        except (OSError, ValueError):  # no quota here, or it is "max"
            pass


def _cgroups(root: Path) -> Iterator[Path]:
    """The folders of the cgroup of this process and of those around it.

    Each line of the list is ``number:controllers:/path``; no controllers means version 2. In a
    container the path may be the host's: then the mount's own top still tells the quota.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        inside = PurePosixPath(path.lstrip("/"))
        yield from (mount / part for part in (inside, *inside.parents))
