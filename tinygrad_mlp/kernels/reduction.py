"""Reductions, generated: fold a scalar formula of the elements along some axes.

A fold is given by ``each`` (what is folded, of one element ``x``), ``combine`` (of two partial
results ``a`` and ``b``), its neutral element, and ``finish`` (of the total ``a`` and the number of
elements ``n``). Two loops serve every layout; `source` writes the one that fits:

- *along*: the innermost axis is folded, in blocks of 512 elements, each in vector lanes.
- *across*: the innermost axis is kept, up to 1024 elements of it side by side. Rows are folded into
  a row of results, in blocks of 16 rows.

Both fold the blocks pairwise, in a tree: the rounding error of a sum grows with the logarithm of
the number of blocks. What one result folds can be cut into equal *parts*, each giving a partial
result: a second, short fold makes the total of them (see ``ops/reduce.py``). Blocks and parts
depend on the shape alone; threads take whole parts, so the result does not depend on their number.

Constants: number of kept axes, kept size, folded axes, folded rows, columns, step in elements,
parts, n, columns of the very last row (*across*; a flat array need not be a whole number of rows);
sizes of the kept axes, byte strides of the kept axes; sizes and byte strides of the folded (outer)
axes. Results: C order, (kept, parts) or (kept, parts, columns).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import int64, njit

from . import cache
from .elementwise import Formula as _Formula
from .elementwise import Operand, _memory, _Writer
from .launch import keep
from .memory import pointer
from .scalar import Expression, trace

ALONG, ACROSS = "along", "across"
WIDTH = 1024  # columns that are folded side by side
MOST_ROWS = 16_000  # that a part of an *across* fold may have: its tree has room for 1023 blocks


@dataclass(frozen=True)
class Fold:
    """What is folded, how, from which neutral element, and what is made of the total.

    ``finish(a, 1)`` must be ``a``. Partial results are folded by ``then``, if that is given.
    """

    name: str
    combine: Callable
    neutral: float | str  # a number, or "lowest"/"highest" of the dtype
    each: Callable = lambda x: x
    finish: Callable = lambda a, n: a
    then: Fold | None = None


@njit  # lazily: kernels from the disk cache need it no more
def offset(index, axes, sizes_at):
    """How many bytes lie before element ``index`` of some axes: at an address, sizes, then strides.

    Compiled by itself, since every kernel that is generated uses it.
    """
    sizes, at = pointer(sizes_at, int64), 0
    for axis in range(axes - 1, -1, -1):
        at += index % sizes[axis] * sizes[axes + axis]
        index //= sizes[axis]
    return at


@functools.cache
def address(fold: Fold, loop: str, dtype: str, step: str, real: str, result: str) -> int:
    """The address of the kernel of ``fold``: input dtype and step (c, n), arithmetic, result."""
    text = source(fold, loop, dtype, step, real, result)
    return keep(cache.load(f"{fold.name}_{loop}", text).kernel)


def source(fold: Fold, loop: str, dtype: str, step: str, real: str, result: str) -> str:
    """The kernel as the text of a Python file."""
    load = f"x[i{' * step' if step == 'n' else ''}]"
    if "bool" in (dtype, real):
        load = f"({load} != 0)"
    real = _memory(real)  # a truth value is a byte, 0 or 1
    value = load if dtype == real else f"{real}({load})"
    body = _ALONG if loop == ALONG else _ACROSS
    return _HEAD.format(
        name=fold.name, about=f"{trace(fold.combine)} of {trace(fold.each)}", dtype=dtype,
        real=real, neutral=_neutral(fold.neutral, real),
    ) + body.format(
        memory=_memory(dtype), item=np.dtype(dtype).itemsize, result=_memory(result),
        load=value, each=_inline(fold.each, real, x="value"), width=WIDTH,
        combine=_inline(fold.combine, real, a="total", b="part"),
        combine_tree=_inline(fold.combine, real, a="tree[level]", b="total"),
        combine_column=_inline(fold.combine, real, a="total[i]", b="part"),
        combine_columns=_inline(fold.combine, real, a=f"tree[{WIDTH} * level + i]", b="total[i]"),
        finish=_inline(fold.finish, real, a="total", n="count"),
        finish_column=_inline(fold.finish, real, a="total[i]", n="count"),
    )  # fmt: skip


def _inline(function: Callable, real: str, **names: str) -> str:
    """A scalar function as one Python expression over the given pieces of code."""
    traced = trace(function)
    assert isinstance(traced, Expression)
    inputs = tuple(names)
    writer = _Writer(_Formula("", inputs, (("r", traced),)), (Operand("r", real, "c"),), real)
    text = writer.write(traced)
    lines = dict(line.split(" = ", 1) for line in writer.lines)
    while any(name in text for name in lines):
        for name, line in lines.items():
            text = _replace_word(text, name, f"({line})")
    for name, code in names.items():
        text = _replace_word(text, f"v_{name}", code)
    return text


def _replace_word(text: str, word: str, by: str) -> str:
    import re

    return re.sub(rf"\b{word}\b", lambda _: by, text)


def _neutral(neutral: float | str, real: str) -> str:
    if isinstance(neutral, str):
        low = neutral == "lowest"
        if real.startswith("float"):
            return f"real({'-' if low else ''}math.inf)"
        return f"real(np.iinfo(np.{real}).{'min' if low else 'max'})"
    return f"real({neutral!r})"


_HEAD = '''"""{name}: folds {about}; {dtype} in, computed in {real}.

Written by tinygrad_mlp.kernels.reduction; safe to delete.
"""
import math

import numpy as np
from numba import cfunc, float32, float64, int32, int64, uint8

from tinygrad_mlp.kernels.extremes import maximum, minimum
from tinygrad_mlp.kernels.memory import SIGNATURE, on_stack, pointer
from tinygrad_mlp.kernels.reduction import offset

real = {real}
neutral = {neutral}


# "reassoc" lets a block be folded in vector lanes; nothing else is relaxed.
@cfunc(SIGNATURE, cache=True, error_model="numpy", fastmath={{"reassoc"}})
def kernel(arguments, thread, threads):
    words = pointer(arguments, int64)
    sizes = pointer(words[0], int64)
    kept, rows, columns, step, parts = sizes[1], sizes[3], sizes[4], sizes[5], sizes[6]
    kept_at = words[0] + 72
    folded_at = kept_at + 16 * sizes[0]
    count = sizes[7]
'''

_ALONG = """    out = pointer(words[2], {result})
    tree = on_stack(64, real)
    in_a_row = (columns + 511) // 512
    blocks = rows * in_a_row
    for task in range(kept * parts * thread // threads, kept * parts * (thread + 1) // threads):
        origin = words[1] + offset(task // parts, sizes[0], kept_at)
        first, last = blocks * (task % parts) // parts, blocks * (task % parts + 1) // parts
        for block in range(first, last):
            x = pointer(origin + offset(block // in_a_row, sizes[2], folded_at), {memory})
            start = block % in_a_row * 512
            stop = start + 512 if start + 512 < columns else columns
            total = neutral
            for i in range(start, stop):
                value = {load}
                part = {each}
                total = {combine}
            level = 0
            while ((block - first) >> level) & 1:  # a carry: two trees of this height become one
                total = {combine_tree}
                level += 1
            tree[level] = total
        total = neutral
        for level in range(64):
            if ((last - first) >> level) & 1:
                total = {combine_tree}
        out[task] = {result}({finish})
"""

_ACROSS = """    out = pointer(words[2], {result})
    total, tree = on_stack({width}, real), on_stack({width} * 10, real)
    chunks = (columns + {width} - 1) // {width}
    tasks = kept * parts * chunks
    for task in range(tasks * thread // threads, tasks * (thread + 1) // threads):
        result, start = task // chunks, task % chunks * {width}
        length = columns - start if columns - start < {width} else {width}
        origin = words[1] + start * step * {item} + offset(result // parts, sizes[0], kept_at)
        row, last = rows * (result % parts) // parts, rows * (result % parts + 1) // parts
        blocks = (last - row + 15) // 16
        for block in range(blocks):
            for i in range(length):
                total[i] = neutral
            stop = row + 16 if row + 16 < last else last
            while row < stop:
                x = pointer(origin + offset(row, sizes[2], folded_at), {memory})
                row += 1
                stop_at = sizes[8] - start if row == rows else length
                for i in range(stop_at if stop_at < length else length):
                    value = {load}
                    part = {each}
                    total[i] = {combine_column}
            level = 0
            while (block >> level) & 1:  # a carry: two trees of this height become one
                for i in range(length):
                    total[i] = {combine_columns}
                level += 1
            for i in range(length):
                tree[{width} * level + i] = total[i]
        for i in range(length):
            total[i] = neutral
        for level in range(10):
            if (blocks >> level) & 1:
                for i in range(length):
                    total[i] = {combine_columns}
        for i in range(length):
            out[result * columns + start + i] = {result}({finish_column})
"""
