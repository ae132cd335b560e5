"""Elementwise kernels, generated: one pass over memory for any scalar formula.

From a formula, the dtypes and the step of each operand along a row, `source` writes a small Numba
program; `address` compiles it (once per machine: it is cached on disk) and returns its address.

An operand's step along the innermost axis is its *access*:

======  ==========================================================================
``c``   contiguous: element ``i`` of the row is ``x[i]``
``s``   the same element for the whole row (a scalar, or a broadcast axis)
``n``   any step: ``x[i * step]``; if one operand has it, all have it
======  ==========================================================================

Constants of a kernel: AXES (the number of outer axes), ROWS (the product of their sizes), COLUMNS
(the size of the innermost axis); from SIZES on the sizes of the outer axes; then per operand its
byte strides along the outer axes and its step along the innermost axis in elements.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from .. import vmath
from ..runtime import cache
from .expression import INFIX, PREDICATES, Expression

_CALLS = {
    **{name: f"vmath.{name}({{}})" for name in vmath.UNARY},
    "absolute": "abs({})",
    "atan2": "vmath.atan2({}, {})",
    "where": "({1} if {0} else {2})",
    "floor": "np.floor({})",
    "ceil": "np.ceil({})",
    "trunc": "np.trunc({})",
    "rint": "np.rint({})",
    "not": "(not {})",
    "cast": "{}",
    "copysign": "math.copysign({}, {})",
    "maximum": "maximum({}, {})",
    "minimum": "minimum({}, {})",
}


@dataclass(frozen=True)
class Operand:
    """One array of a kernel: its name in the formula, its dtype, and its access (c, s or n)."""

    name: str
    dtype: str
    access: str


@dataclass(frozen=True)
class Formula:
    """The computation of a kernel: named results of named inputs, in the arithmetic of ``real``.

    A result with the name of an input overwrites it. ``uniform`` inputs are 0-d float64 cells
    (learning rates, step counts). Expressions of them alone are computed once, in float64.
    """

    name: str
    inputs: tuple[str, ...]
    results: tuple[tuple[str, Expression], ...]
    uniform: frozenset[str] = frozenset()
    masks: frozenset[str] = frozenset()  # bool inputs that are conditions, not numbers

    def __str__(self) -> str:
        arguments = ", ".join(self.inputs)
        results = "; ".join(f"{name} = {expression}" for name, expression in self.results)
        return f"{self.name}({arguments}): {results}"


@functools.cache
def address(formula: Formula, operands: tuple[Operand, ...], real: str) -> int:
    """Return the address of the kernel of ``formula`` on ``operands``, computing in ``real``."""
    text = source(formula, operands, real)
    return int(cache.load(formula.name.replace(".", "_"), text).kernel)


def source(formula: Formula, operands: tuple[Operand, ...], real: str) -> str:
    """Return the kernel as the text of a Python file."""
    writer = Writer(formula, operands, real)
    loads, body, stores = writer.loop()
    lines = [
        f'"""{formula}\n',
        *(f"{o.name}: {o.dtype}, access {o.access}" for o in operands),
        f'Computed in {real}. Written by {__name__}; safe to delete.\n"""',
        "import math",
        "",
        "import numpy as np",
        "from numba import boolean, float32, float64, int32, int64, uint8",
        "",
        "from tinygrad_mlp.kernels import vmath",
        "from tinygrad_mlp.kernels.runtime.launch import compiled",
        "from tinygrad_mlp.kernels.runtime.memory import pointer, words_of",
        "from tinygrad_mlp.kernels.codegen.row_addresses import (",
        "    AXES, COLUMNS, ROWS, SIZES, row_addresses)",
        "from tinygrad_mlp.kernels.runtime.slices import slice_of",
        "",
        f"real = {_numba(real)}",
        "",
        "",
        "@compiled",
        "def kernel(arguments, thread, threads):",
        "    words, sizes = words_of(arguments)",
        "    axes, rows, columns = sizes[AXES], sizes[ROWS], sizes[COLUMNS]",
        "    first, last, start, stop = 0, rows, 0, columns",
        "    if rows >= threads:",
        "        first, last = slice_of(rows, thread, threads)",
        "    else:",
        "        start, stop = slice_of(columns, thread, threads)",
        *writer.uniforms(),
        "    for row in range(first, last):",
        f"        at = row_addresses(words, row, {len(operands)})",
        *(
            f"        {o.name} = pointer(at[{k}], {stored_as(o.dtype)})"
            for k, o in enumerate(operands)
            if o.name not in formula.uniform
        ),
        *writer.steps(),
        *loads["s"],
        "        for i in range(start, stop):",
        *loads["loop"],
        *body,
        *stores,
        "",
    ]
    return "\n".join(lines)


def _numba(dtype: str) -> str:
    return "boolean" if dtype == "bool" else dtype


def stored_as(dtype: str) -> str:
    """Return the dtype of the memory: a bool is stored as a byte, 0 or 1."""
    return "uint8" if dtype == "bool" else dtype


class Writer:
    """Writes the expressions of one kernel, common sub-expressions once."""

    def __init__(self, formula: Formula, operands: tuple[Operand, ...], real: str):
        self.formula, self.operands, self.real = formula, operands, real
        self.by_name = {operand.name: operand for operand in operands}
        self.names: dict[tuple, str] = {}
        self.types: dict[str, str] = {}
        self.hoisted: list[str] = []
        self.lines: list[str] = []

    def uniforms(self) -> list[str]:
        """Return the lines before the loops: the float64 cells and expressions of them alone."""
        cells = [
            f"    u_{o.name} = float64(pointer(words[{k + 1}], {stored_as(o.dtype)})[0])"
            for k, o in enumerate(self.operands)
            if o.name in self.formula.uniform
        ]
        return cells + ["    " + line for line in self.hoisted]

    def steps(self) -> list[str]:
        """Return the lines before the loop over a row: the steps of operands with access ``n``."""
        return [
            f"        step_{o.name} = sizes[SIZES + axes * {k + 2} + {k}]"
            for k, o in enumerate(self.operands)
            if o.access == "n"
        ]

    def loop(self) -> tuple[dict[str, list[str]], list[str], list[str]]:
        """Return lines that load the inputs (before the loop, in it), compute, and store."""
        loads: dict[str, list[str]] = {"s": [], "loop": []}
        for o in self.operands:
            if o.name not in self.formula.inputs or o.name in self.formula.uniform:
                continue
            index = {"c": "i", "s": "0", "n": f"i * step_{o.name}"}[o.access]
            value = f"{o.name}[{index}]"
            value = f"{value} != 0" if o.dtype == "bool" else value
            same = o.dtype == self.real or o.name in self.formula.masks
            line = f"v_{o.name} = {value if same else f'{_numba(self.real)}({value})'}"
            if o.access == "s":
                loads["s"].append("        " + line)
            else:
                loads["loop"].append("            " + line)
        stores = []
        for name, expression in self.formula.results:
            value = self.write(expression)
            o = self.by_name[name]
            index = f"i * step_{name}" if o.access == "n" else "i"
            stores.append(f"            {name}[{index}] = {self.convert(value, o.dtype)}")
        return loads, ["            " + line for line in self.lines], stores

    def convert(self, value: str, dtype: str) -> str:
        """Return a computed value converted to the memory of ``dtype``."""
        type_ = self.types[value]
        value = f"real({value})" if type_ == "uniform" else value
        if dtype == "bool":
            return f"uint8({value})" if type_ == "bool" else f"uint8({value} != 0)"
        return value if type_ == "real" and dtype == self.real else f"{dtype}({value})"

    def write(self, node: Expression) -> str:
        """Return the name of the value of ``node``; the first call writes the line computing it.

        `types` has the type of each name: ``uniform`` (float64, the same for all elements),
        ``real`` (the kernel's dtype), ``bool``, or ``constant``.
        """
        if node.operator == "input":
            if node.value in self.formula.uniform:
                return self.declare(f"u_{node.value}", "uniform")
            mask = node.value in self.formula.masks
            return self.declare(f"v_{node.value}", "bool" if mask else "real")
        if node.operator == "constant":
            text = f"real({node.value!r})".replace("inf", "math.inf").replace("nan", "math.nan")
            return self.declare(text, "constant")
        parts = [self.write(argument) for argument in node.arguments]
        key = (node.operator, *parts)
        if key not in self.names:
            self.names[key] = self.compute(node.operator, parts)
        return self.names[key]

    def declare(self, name: str, type_: str) -> str:
        """Set the type of a name, and return the name."""
        self.types[name] = type_
        return name

    def compute(self, operator: str, parts: list[str]) -> str:
        """Write the line that applies an operator to the named values; return the new name."""
        given = [self.types[part] for part in parts]
        uniform = "uniform" in given and set(given) <= {"uniform", "constant"}
        for k, type_ in enumerate(given):
            if uniform and type_ == "constant":  # constants among uniforms are float64
                parts[k] = parts[k].replace("real(", "float64(", 1)
            elif not uniform and type_ == "uniform":
                parts[k] = f"real({parts[k]})"
        if operator in _CALLS:
            text = _CALLS[operator].format(*parts)
        elif operator == "pow" and (uniform or self.real.startswith("float")):
            text = f"vmath.pow({', '.join(parts)})"
        elif operator in INFIX:
            symbol = INFIX[operator][0]
            text = f"{parts[0]} {symbol} {parts[1]}" if len(parts) == 2 else f"{symbol}{parts[0]}"
        else:
            text = f"math.{operator}({', '.join(parts)})"
        bitwise = operator in ("and", "or", "xor", "not") and given[0] != "bool"
        type_ = "uniform" if uniform else "real"
        type_ = "bool" if operator in PREDICATES and not bitwise else type_
        if bitwise and operator == "not" and self.real != "bool":
            text = f"~{parts[0]}"
        if operator == "where" and given[1] == given[2] == "bool":
            type_ = "bool"
        if type_ == "real" and self.real in ("int32", "uint8"):
            text = f"real({text})"  # Numba widens small integers
        name = self.declare(f"t{len(self.names)}", type_)
        (self.hoisted if type_ == "uniform" else self.lines).append(f"{name} = {text}")
        return name
