"""Reductions, generated: fold a scalar formula of the elements along some axes.

A fold is given by ``each`` (what is folded, of one element ``x``), ``combine`` (of two partial
results ``a`` and ``b``), its neutral element, and ``finish`` (of the total ``a`` and the number of
elements ``n``). Two loops serve every layout; `source` writes the one that fits:

- *along*: the innermost axis is folded. Blocks of 256 elements are folded in vector lanes, and the
  blocks pairwise, in a tree: the rounding error of a sum grows with log(n), as in NumPy.
- *across*: the innermost axis is kept. Whole rows are folded into a row of partial results, 64 rows
  at a time, and those into the total.

The partition depends on the shape alone, never on the thread count: a thread takes whole results.

Constants: number of kept axes, kept size, folded axes, folded rows, columns, step in elements;
sizes of the kept axes, byte strides of the kept axes; sizes and byte strides of the folded (outer)
axes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import cache
from .elementwise import Formula as _Formula
from .elementwise import Operand, _memory, _numba, _Writer
from .launch import keep
from .scalar import Expression, trace

ALONG, ACROSS = "along", "across"


@dataclass(frozen=True)
class Fold:
    """What is folded, how, from which neutral element, and what is made of the total."""

    name: str
    combine: Callable
    neutral: float | str  # a number, or "lowest"/"highest" of the dtype
    each: Callable = lambda x: x
    finish: Callable = lambda a, n: a


@functools.cache
def address(fold: Fold, loop: str, dtype: str, step: str, real: str, result: str) -> int:
    """The address of the kernel of ``fold``: input dtype and step (c, n), arithmetic, result."""
    text = source(fold, loop, dtype, step, real, result)
    return keep(cache.load(f"{fold.name}_{loop}", text).kernel)


def source(fold: Fold, loop: str, dtype: str, step: str, real: str, result: str) -> str:
    """The kernel as the text of a Python file."""
    load = f"x[i{' * step' if step == 'n' else ''}]"
    if dtype == "bool":
        load = f"({load} != 0)"
    value = load if dtype == real else f"{_numba(real)}({load})"
    body = _ALONG if loop == ALONG else _ACROSS
    return _HEAD.format(
        name=fold.name, about=f"{trace(fold.combine)} of {trace(fold.each)}", dtype=dtype,
        real=_numba(real), neutral=_neutral(fold.neutral, real),
    ) + body.format(
        memory=_memory(dtype), item=np.dtype(dtype).itemsize, result=_memory(result),
        store=_memory(result), load=value, each=_inline(fold.each, real, x="value"),
        combine=_inline(fold.combine, real, a="total", b="part"),
        combine_partial=_inline(fold.combine, real, a="partials[level]", b="total"),
        combine_row=_inline(fold.combine, real, a="block[i]", b="part"),
        combine_block=_inline(fold.combine, real, a="totals[i]", b="block[i]"),
        finish=_inline(fold.finish, real, a="total", n="count"),
        finish_row=_inline(fold.finish, real, a="totals[i]", n="count"),
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
        if real == "bool":
            return f"real({not low})"
        return f"real(np.iinfo(np.{real}).{'min' if low else 'max'})"
    return f"real({neutral!r})"


_HEAD = '''"""{name}: folds {about}; {dtype} in, computed in {real}.

Written by tinygrad_mlp.kernels.reduction; safe to delete.
"""
import math

import numpy as np
from numba import boolean, cfunc, float32, float64, int32, int64, uint8

from tinygrad_mlp.kernels.memory import SIGNATURE, pointer

real = {real}
neutral = {neutral}


# "reassoc" lets a block be folded in vector lanes; nothing else is relaxed.
@cfunc(SIGNATURE, cache=True, error_model="numpy", fastmath={{"reassoc"}})
def kernel(arguments, thread, threads):
    words = pointer(arguments, int64)
    sizes = pointer(words[0], int64)
    kept_axes, kept, folded_axes, rows, columns, step = (
        sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5])
    kept_at = 6
    folded_at = 6 + 2 * kept_axes
'''

_ALONG = """    out = pointer(words[2], {result})
    count = rows * columns
    partials = np.empty(64, real)
    for place in range(kept * thread // threads, kept * (thread + 1) // threads):
        origin = words[1]
        rest = place
        for axis in range(kept_axes - 1, -1, -1):
            origin += (rest % sizes[kept_at + axis]) * sizes[kept_at + kept_axes + axis]
            rest //= sizes[kept_at + axis]
        blocks = 0
        for row in range(rows):
            at = origin
            rest = row
            for axis in range(folded_axes - 1, -1, -1):
                at += (rest % sizes[folded_at + axis]) * sizes[folded_at + folded_axes + axis]
                rest //= sizes[folded_at + axis]
            x = pointer(at, {memory})
            for start in range(0, columns, 256):
                total = neutral
                for i in range(start, min(start + 256, columns)):
                    value = {load}
                    part = {each}
                    total = {combine}
                level = 0
                while (blocks >> level) & 1:  # a carry: two trees of this height become one
                    total = {combine_partial}
                    level += 1
                partials[level] = total
                blocks += 1
        total = neutral
        for level in range(64):
            if (blocks >> level) & 1:
                total = {combine_partial}
        out[place] = {store}({finish})
"""

_ACROSS = """    out = pointer(words[2], {result})
    width = min(columns, 256)
    chunks = (columns + width - 1) // width
    block = np.empty(width, real)
    totals = np.empty(width, real)
    count = rows
    for task in range(kept * chunks * thread // threads, kept * chunks * (thread + 1) // threads):
        place, chunk = task // chunks, task % chunks
        start = chunk * width
        length = min(width, columns - start)
        origin = words[1] + start * step * {item}
        rest = place
        for axis in range(kept_axes - 1, -1, -1):
            origin += (rest % sizes[kept_at + axis]) * sizes[kept_at + kept_axes + axis]
            rest //= sizes[kept_at + axis]
        for i in range(length):
            totals[i] = neutral
        for first in range(0, rows, 64):
            for i in range(length):
                block[i] = neutral
            for row in range(first, min(first + 64, rows)):
                at = origin
                rest = row
                for axis in range(folded_axes - 1, -1, -1):
                    at += (rest % sizes[folded_at + axis]) * sizes[folded_at + folded_axes + axis]
                    rest //= sizes[folded_at + axis]
                x = pointer(at, {memory})
                for i in range(length):
                    value = {load}
                    part = {each}
                    block[i] = {combine_row}
            for i in range(length):
                totals[i] = {combine_block}
        base = place * columns + start
        for i in range(length):
            out[base + i] = {store}({finish_row})
"""
