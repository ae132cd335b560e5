"""The number of usable processors, for simulated systems in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tinygrad_mlp.kernels.runtime.cpu_count import available

MANY = 64


@pytest.fixture(autouse=True)
def _a_large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(MANY)))
    monkeypatch.setattr(os, "cpu_count", lambda: MANY)


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_no_cgroups(tmp_path: Path) -> None:
    assert available(tmp_path) == MANY


def test_the_affinity_mask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 8})
        assert available(tmp_path) == 3


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", MANY), ("300000 100000", 3), ("250000 100000", 2), ("50000 100000", 1)],
)
def test_version_2(tmp_path: Path, quota: str, count: int) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota + "\n"}
    assert available(system(tmp_path, files)) == count


def test_version_2_nested_the_least_quota_around_us_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user.slice/job/step\n",
        "sys/fs/cgroup/user.slice/cpu.max": "400000 100000\n",
        "sys/fs/cgroup/user.slice/job/cpu.max": "200000 100000\n",
        "sys/fs/cgroup/user.slice/job/step/cpu.max": "max 100000\n",
        "sys/fs/cgroup/user.slice/other/cpu.max": "100000 100000\n",
    }
    assert available(system(tmp_path, files)) == 2


def test_a_container_that_sees_the_hosts_path(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/kubepods/pod7\n", "sys/fs/cgroup/cpu.max": "500000 100000\n"}
    assert available(system(tmp_path, files)) == 5


@pytest.mark.parametrize(("quota", "count"), [("-1", MANY), ("150000", 1), ("600000", 6)])
def test_version_1(tmp_path: Path, quota: str, count: int) -> None:
    group = "sys/fs/cgroup/cpu,cpuacct/docker/abc"
    files = {
        "proc/self/cgroup": "12:cpuset:/other\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n",
        f"{group}/cpu.cfs_quota_us": quota + "\n",
        f"{group}/cpu.cfs_period_us": "100000\n",
    }
    assert available(system(tmp_path, files)) == count


def test_what_cannot_be_read_is_no_quota(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}
    assert available(system(tmp_path, files)) == MANY
