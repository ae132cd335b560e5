"""The vector units that this machine has, and the settings that force each in a process.

Numba's settings choose the unit of our own kernels. Those of NumPy, OpenBLAS and the C library
choose the code that these dispatch to, so that whatever still calls them is compared too.
"""

from __future__ import annotations

import platform

import llvmlite.binding
import numpy as np

THERE = {name for name, there in llvmlite.binding.get_host_cpu_features().items() if there}
X86 = platform.machine().lower() in ("x86_64", "amd64")


def host_features(*others: str, without: tuple[str, ...] = ()) -> str:
    """Return the features of this machine, in Numba's format."""
    known = llvmlite.binding.get_host_cpu_features()
    return ",".join(
        [
            f"{'+' if there and not name.startswith(without) else '-'}{name}"
            for name, there in known.items()
        ]
        + list(others)
    )


def libraries(core: str, numpy: tuple[str, ...], libc: str) -> dict[str, str]:
    """Return the settings of OpenBLAS, of NumPy (what is not to be used) and of the C library."""
    umath = np._core._multiarray_umath
    disabled = [
        name
        for name in umath.__cpu_dispatch__
        if umath.__cpu_features__.get(name) and any(part in name for part in numpy)
    ]
    return {
        "OPENBLAS_CORETYPE": core,
        "NPY_DISABLE_CPU_FEATURES": ",".join(disabled),
        "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={libc}",
    }


# name -> the settings, and the features that the machine needs
UNITS: dict[str, tuple[dict[str, str], set[str]]] = {
    "SSE2": (
        dict(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
        | libraries("Prescott", ("",), "-AVX,-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL"),
        {"sse2"},
    ),
    "AVX2": (
        dict(
            NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES=host_features(without=("avx512", "avx10"))
        )
        | libraries("Haswell", ("512", "V4"), "-AVX512F,-AVX512VL"),
        {"avx2", "fma"},
    ),
    "AVX-512 in 256 bits": (
        dict(NUMBA_CPU_NAME="sapphirerapids", NUMBA_CPU_FEATURES=host_features("+prefer-256-bit")),
        {"avx512f", "avx512vl"},
    ),
    "AVX-512": (
        dict(
            NUMBA_CPU_NAME=llvmlite.binding.get_host_cpu_name(),
            NUMBA_CPU_FEATURES=host_features("-prefer-256-bit"),
        ),
        {"avx512f", "avx512vl"},
    ),
}
EXPECTED = {"SSE2": "plain", "AVX2": "avx2"}  # names of `gemm.host()`; else avx512


def missing(unit: str) -> set[str]:
    """Return what this machine lacks for a unit."""
    return UNITS[unit][1] - THERE if X86 else {"x86-64"}
