"""The number of processors that this process may use: affinity mask and cgroup quotas."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available(root: Path = Path("/")) -> int:
    """Return the number of processors, at least 1. A quota of 2.5 processors counts as 2.

    ``root`` is the folder of the system's files; tests pass another one.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min([count, *_quotas(root)]))


def _quotas(root: Path) -> Iterator[int]:
    """Yield the quota, in processors, of each cgroup of this process that has one."""
    for folder in _cgroups(root):
        try:
            if (folder / "cpu.max").exists():  # version 2
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            if int(quota) > 0:  # -1 means none in version 1
                yield int(quota) // int(period)
        except (OSError, ValueError):  # no quota, or "max"
            pass


def _cgroups(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's cgroup and of its parents.

    Each line of the list is ``number:controllers:/path``; no controllers means version 2. In a
    container the path may be the host's; the top of the mount then still has the quota.
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
