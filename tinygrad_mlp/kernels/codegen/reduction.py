"""Reductions, generated: fold a scalar formula of the elements along some axes.

A fold is given by ``each`` (the term of an element ``x``), ``combine`` (of two partial results
``a`` and ``b``), its neutral element, and ``finish`` (of the total ``a`` and the number of elements
``n``). Two loops cover every layout; `source` writes the one that fits:

- *along*: the innermost axis is folded, in blocks of 512 elements. Floats are folded in sixteen
  lanes (see ``lanes.py``), each a tree of every sixteenth element. The lanes are folded as a tree.
- *across*: the innermost axis is kept, and processed in strips. Rows are folded into a row of
  results, in blocks of 16 rows. Rows at equal distances are read eight at a time: the row of
  results is then stored once for eight, and waits for memory overlap.

Both fold the blocks pairwise, in a tree: the rounding error of a sum grows with the logarithm of
the number of blocks. The elements of one result can be divided into equal *parts*, each with a
partial result; a second, short fold combines them (see ``ops/reduce.py``). Blocks and parts depend
on the shape alone, and threads compute whole parts, so the result does not depend on the number of
threads.

Constants: those named below; sizes, then byte strides, of the kept axes; the same of the folded
(outer) axes. Results: C order, (kept, parts) or (kept, parts, columns).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import int64, njit

from ..runtime import cache
from ..runtime.memory import pointer
from .elementwise import Formula, Operand, Writer, stored_as
from .expression import Expression, trace
from .lanes import LANES

# Constants of a kernel: numbers of axes, elements, rows and columns, and the step in elements.
# LAST_COLUMNS: columns of the very last row (*across*: a flat array may end within a row).
(KEPT_AXES, KEPT, FOLDED_AXES, FOLDED_ROWS, COLUMNS, STEP, PARTS, COUNT, LAST_COLUMNS, SIZES
 ) = range(10)  # fmt: skip

ALONG, ACROSS = "along", "across"
ELEMENTS, ROWS = 512, 16  # of a block, along and across
TOGETHER = 256  # elements of a block that are folded as one tree
WIDTH = 1024  # columns of a strip of 8-byte elements; of smaller elements, as many bytes
MOST_ROWS = 16_000  # of a part of an *across* fold, at most: its tree has room for 1023 blocks
_TOGETHER = 8  # rows that are read at a time


@dataclass(frozen=True)
class Fold:
    """A fold: the term of each element, how terms are combined, and the function of the total.

    ``finish(a, 1)`` must be ``a``. Partial results are folded by ``then``, if that is given.
    """

    name: str
    combine: Callable
    neutral: float | str  # a number, or "lowest"/"highest" of the dtype
    each: Callable = lambda x: x
    finish: Callable = lambda a, n: a
    then: Fold | None = None


@njit  # compiled at first use: kernels from the disk cache do not need it
def offset(index, axes, sizes_at):
    """Return the offset in bytes of element ``index`` of some axes.

    Their sizes, then their strides, are at an address. The function is compiled once, since every
    generated kernel calls it.
    """
    sizes, at = pointer(sizes_at, int64), 0
    for axis in range(axes - 1, 0, -1):
        at += index % sizes[axis] * sizes[axes + axis]
        index //= sizes[axis]
    return at + index * sizes[axes] if axes > 0 else 0  # the rest of the index is that of axis 0


@functools.cache
def address(fold: Fold, loop: str, dtype: str, step: str, real: str, result: str) -> int:
    """Return the address of the kernel of ``fold``.

    ``dtype``, ``real`` and ``result``: dtypes of the input, the arithmetic and the result;
    ``step``: c (contiguous) or n (any step along the innermost axis).
    """
    text = source(fold, loop, dtype, step, real, result)
    return int(cache.load(f"{fold.name}_{loop}", text).kernel)


def source(fold: Fold, loop: str, dtype: str, step: str, real: str, result: str) -> str:
    """Return the kernel as the text of a Python file."""
    element = f"x[i{' * step' if step == 'n' else ''}]"
    if "bool" in (dtype, real):
        element = f"({element} != 0)"
    memory, real = stored_as(dtype), stored_as(real)
    if dtype != real:
        element = f"{real}({element})"
    each = _inline(fold.each, real, x=element)
    fold_row = f"folded = {_inline(fold.combine, real, a='folded', b=each)}"
    together, width = range(_TOGETHER), WIDTH * 8 // np.dtype(real).itemsize
    head = _HEAD.format(
        name=fold.name,
        about=f"{trace(fold.combine)} of {trace(fold.each)}",
        dtype=dtype,
        real=real,
        neutral=_neutral(fold.neutral, real),
    )
    if loop == ALONG:
        return head + _ALONG.format(
            memory=memory,
            result=stored_as(result),
            elements=ELEMENTS,
            finish=_inline(fold.finish, real, a="total", n="count"),
            **_along(fold, real, step, each),
        )
    return head + _ACROSS.format(
        memory=memory,
        item=np.dtype(dtype).itemsize,
        result=stored_as(result),
        rows=ROWS,
        width=width,
        together=_TOGETHER,
        fold_column=_inline(fold.combine, real, a="total[i]", b=each),
        pointers=_lines(20, [f"x{k} = pointer(first + {k} * stride, {memory})" for k in together]),
        fold_rows=_lines(24, [_replace_word(fold_row, "x", f"x{k}") for k in together]),
        merge_strips=_inline(fold.combine, real, a=f"tree[{width} * level + i]", b="total[i]"),
        finish_strip=_inline(fold.finish, real, a="total[i]", n="count"),
    )


def _along(fold: Fold, real: str, step: str, element: str) -> dict[str, str]:
    """Return the parts of `_ALONG` that differ between folding one by one and in lanes."""

    def combine(a: str, b: str) -> str:
        return _inline(fold.combine, real, a=a, b=b)

    if not real.startswith("float"):
        return {
            "room": "64",
            "fold_block": _indent(12, _BLOCK.format(each=combine("folded", element))),
            "merge_blocks": combine("tree[level]", "folded"),
            "put": "tree[level] = folded",
            "nothing": "neutral",
            "total": "total = folded",
        }

    def load(i: str, count: str = "16") -> str:
        return f"load(x, {i}, {count})" if step == "c" else f"load_strided(x, {i}, step, {count})"

    def each(x: str) -> str:
        return _inline(fold.each, real, x=x)

    count = TOGETHER // LANES
    tree = [f"x{k} = {load(f'i + {k * LANES}')}" for k in range(count)]
    tree += [f"x{k} = {combine(each(f'x{k}'), each(f'x{k + 1}'))}" for k in range(0, count, 2)]
    for gap in (2**n for n in range(1, count.bit_length() - 1)):
        tree += [f"x{k} = {combine(f'x{k}', f'x{k + gap}')}" for k in range(0, count, 2 * gap)]
    block = _BLOCK_OF_LANES.format(
        together=TOGETHER,
        tree=_lines(4, [*tree, f"folded = {combine('folded', 'x0')}"]),
        load=load("i"),
        load_rest=load("i", "stop - i"),
        fold=combine("folded", each("lanes")),
        fold_rest=combine("folded", f"keep({each('lanes')}, stop - i, neutral)"),
    )
    halves = [f"folded = {combine('folded', f'shift_down(folded, {k})')}" for k in (8, 4, 2, 1)]
    return {
        "room": f"{64 * LANES}",
        "fold_block": _indent(12, block),
        "merge_blocks": combine(f"load(tree, {LANES} * level, 16)", "folded"),
        "put": f"store(folded, tree, {LANES} * level)",
        "nothing": "spread(neutral)",
        "total": _lines(8, [*halves, "total = lane_0(folded)"]),
    }


def _indent(indent: int, text: str) -> str:
    return _lines(indent, text.split("\n"))


def _lines(indent: int, lines: list[str]) -> str:
    return ("\n" + " " * indent).join(lines)


def _inline(function: Callable, real: str, **names: str) -> str:
    """Return a scalar function as one Python expression of the given pieces of code."""
    traced = trace(function)
    assert isinstance(traced, Expression)
    inputs = tuple(names)
    writer = Writer(Formula("", inputs, (("r", traced),)), (Operand("r", real, "c"),), real)
    text = writer.write(traced)
    lines = dict(line.split(" = ", 1) for line in writer.lines)
    while any(name in text for name in lines):
        for name, line in lines.items():
            text = _replace_word(text, name, f"({line})")
    for name, code in names.items():
        text = _replace_word(text, f"v_{name}", code)
    return text


def _replace_word(text: str, word: str, by: str) -> str:
    return re.sub(rf"\b{word}\b", lambda _: by, text)


def _neutral(neutral: float | str, real: str) -> str:
    if isinstance(neutral, str):
        low = neutral == "lowest"
        if real.startswith("float"):
            return f"real({'-' if low else ''}math.inf)"
        return f"real(np.iinfo(np.{real}).{'min' if low else 'max'})"
    return f"real({neutral!r})"


_HEAD = '''"""{name}: folds {about}; {dtype} in, computed in {real}.

Written by tinygrad_mlp.kernels.codegen.reduction; safe to delete.
"""
import math

import numpy as np
from numba import float32, float64, int32, int64, uint8

from tinygrad_mlp.kernels.vmath.minmax import maximum, minimum
from tinygrad_mlp.kernels.codegen.lanes import (
    first as lane_0, keep, load, load_strided, shift_down, spread, store)
from tinygrad_mlp.kernels.runtime.launch import compiled
from tinygrad_mlp.kernels.runtime.memory import on_stack, pointer, words_of
from tinygrad_mlp.kernels.codegen import reduction as at
from tinygrad_mlp.kernels.codegen.reduction import offset
from tinygrad_mlp.kernels.runtime.slices import slice_of

real = {real}
neutral = {neutral}


@compiled
def kernel(arguments, thread, threads):
    words, sizes = words_of(arguments)
    kept, rows, columns = sizes[at.KEPT], sizes[at.FOLDED_ROWS], sizes[at.COLUMNS]
    step, parts, count = sizes[at.STEP], sizes[at.PARTS], sizes[at.COUNT]
    kept_axes, folded_axes = sizes[at.KEPT_AXES], sizes[at.FOLDED_AXES]
    kept_at = words[0] + 8 * at.SIZES
    folded_at = kept_at + 16 * kept_axes
    source, target = words[1], words[2]
'''

# The same code folds numbers and `Lanes`; only the total of all blocks is one number.
_ALONG = """    out = pointer(target, {result})
    tree = on_stack({room}, real)
    in_a_row = (columns + {elements} - 1) // {elements}
    first, last = slice_of(kept * parts, thread, threads)
    for task in range(first, last):
        origin = source + offset(task // parts, kept_axes, kept_at)
        begin, end = slice_of(rows * in_a_row, task % parts, parts)
        for block in range(begin, end):
            x = pointer(origin + offset(block // in_a_row, folded_axes, folded_at), {memory})
            start = block % in_a_row * {elements}
            stop = min(start + {elements}, columns)
            {fold_block}
            level = 0
            while ((block - begin) >> level) & 1:  # a carry: two trees of this height become one
                folded = {merge_blocks}
                level += 1
            {put}
        folded, level = {nothing}, 0
        while (end - begin) >> level:
            if ((end - begin) >> level) & 1:
                folded = {merge_blocks}
            level += 1
        {total}
        out[task] = {result}({finish})
"""

_BLOCK = """folded = neutral
for i in range(start, stop):
    folded = {each}"""

_BLOCK_OF_LANES = """folded, i = spread(neutral), start
while i + {together} <= stop:
    {tree}
    i += {together}
while i + 16 <= stop:
    lanes = {load}
    folded = {fold}
    i += 16
if i < stop:
    lanes = {load_rest}
    folded = {fold_rest}"""

_ACROSS = """    out = pointer(target, {result})
    total, tree = on_stack({width}, real), on_stack({width} * 10, real)
    last_columns = sizes[at.LAST_COLUMNS]
    whole = rows if last_columns == columns else rows - 1
    stride = pointer(folded_at, int64)[1] if folded_axes == 1 else 0  # 0: not one stride
    strips = (columns + {width} - 1) // {width}
    begin, last = slice_of(kept * parts * strips, thread, threads)
    for task in range(begin, last):
        result, start = task // strips, task % strips * {width}
        length = min(columns - start, {width})
        together = stride != 0
        origin = source + start * step * {item} + offset(result // parts, kept_axes, kept_at)
        row, end = slice_of(rows, result % parts, parts)
        blocks = (end - row + {rows} - 1) // {rows}
        for block in range(blocks):
            for i in range(length):
                total[i] = neutral
            stop = min(row + {rows}, end)
            while row < stop:
                first = origin + offset(row, folded_axes, folded_at)
                if together and row + {together} <= min(stop, whole):
                    {pointers}
                    for i in range(length):
                        folded = total[i]
                        {fold_rows}
                        total[i] = folded
                    row += {together}
                    continue
                x = pointer(first, {memory})
                row += 1
                for i in range(min(last_columns - start, length) if row == rows else length):
                    total[i] = {fold_column}
            level = 0
            while (block >> level) & 1:
                for i in range(length):
                    total[i] = {merge_strips}
                level += 1
            for i in range(length):
                tree[{width} * level + i] = total[i]
        for i in range(length):
            total[i] = neutral
        for level in range(10):
            if (blocks >> level) & 1:
                for i in range(length):
                    total[i] = {merge_strips}
        for i in range(length):
            out[result * columns + start + i] = {result}({finish_strip})
"""
