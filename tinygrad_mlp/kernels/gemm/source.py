"""Kernels of the matrix product, generated for a dtype and a vector unit, compiled and cached."""

from __future__ import annotations

import functools
import inspect
from types import ModuleType

import numpy as np

from ..runtime import cache
from . import inner, outer, row, tiles
from .dot import BLOCKS
from .vectors import UNITS, host

KERNELS: dict[str, ModuleType] = {"outer": outer, "tiles": tiles, "inner": inner, "row": row}


@functools.cache
def address(name: str, dtype: str, unit: str | None = None) -> int:
    """Return the address of a kernel for float32 or float64; by default for the host's unit."""
    unit = unit or host()
    module = cache.load(f"gemm_{name}_{dtype}_{unit}", source(name, dtype, unit))
    return int(module.kernel)


def source(name: str, dtype: str, unit: str) -> str:
    """Return a kernel as the text of a Python file: its module's functions, and its constants."""
    item, registers = np.dtype(dtype).itemsize, UNITS[unit]
    lanes = registers.lanes(item)
    module = KERNELS[name]
    functions = {
        key: inspect.getsource(value)
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    }
    kernel = functions.pop("kernel")
    return "\n".join(
        [
            f'"""The matrix product of {dtype} on {unit}. See {module.__name__}."""',
            f"from numba import {dtype}, int64, njit",
            "from tinygrad_mlp.kernels.gemm import words as at",
            "from tinygrad_mlp.kernels.gemm.axpy import IN_CACHE, TOGETHER, add_rows",
            "from tinygrad_mlp.kernels.gemm.dot import (",
            "    CHUNK, LANES, LONGEST, MOST, PARTIAL, ROOM, multiply_dots)",
            "from tinygrad_mlp.kernels.gemm.pack import copy_row, copy_tile_row, transpose_block",
            "from tinygrad_mlp.kernels.gemm.partition import (",
            "    my_part, operands_of, rows_of_grid, run_finish)",
            "from tinygrad_mlp.kernels.gemm.tile import multiply_tile",
            "from tinygrad_mlp.kernels.runtime.launch import compiled",
            "from tinygrad_mlp.kernels.runtime.memory import (",
            "    call_address, pointer, room_on_stack, words_on_stack)",
            "from tinygrad_mlp.kernels.runtime.slices import slice_of_steps",
            f"real, item, unit, lanes, width = {dtype}, {item}, {unit!r}, {lanes}, "
            f"{registers.columns(item)}",
            f"heights, height = {registers.rows}, {registers.rows[0]}",
            f"LINE, NEAR, blocks = {outer.LINE}, {inner.NEAR}, {BLOCKS[registers.registers]}",
            *(
                f'@njit(error_model="numpy", inline="always")\n{helper}'
                for helper in reversed(functions.values())
            ),
            f"@compiled\n{kernel}",
        ]
    )
