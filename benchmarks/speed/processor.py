"""Describe the machine that figures are measured on: every benchmark prints and stores this."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import llvmlite.binding
import numpy as np

from tinygrad_mlp.kernels.gemm import host


def describe() -> dict[str, str | int]:
    """Return the processor, its vector unit, the number of processors, and the versions in use.

    ``processors`` counts what this process may use, by its affinity mask where there is one.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": processor_name(),
        "vector_unit": host(),
        "processors": len(affinity(0)) if affinity else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def as_text(machine: dict[str, str | int]) -> str:
    """Return the description as one line."""
    count = machine["processors"]
    return (
        f"{machine['processor']}, {machine['vector_unit']}, "
        f"{count} processor{'s' if count != 1 else ''}, {machine['system']}, "
        f"Python {machine['python']}, NumPy {machine['numpy']}"
    )


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, e.g. "AMD EPYC (family 26, model 2)".

    The name is the one in ``cpuinfo``. Where that has none (Linux on ARM, macOS, Windows), it is
    LLVM's name of the microarchitecture, e.g. "neoverse-n1" or "apple-m1".
    """
    fields: dict[str, str] = {}
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for key, separator, value in (line.partition(":") for line in lines):
        if separator:
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or llvmlite.binding.get_host_cpu_name()
    numbers = [("family", fields.get("cpu family")), ("model", fields.get("model"))]
    details = ", ".join(f"{key} {value}" for key, value in numbers if value)
    return f"{name} ({details})" if details else name
