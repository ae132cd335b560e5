"""How a reduction is cut into kernel launches. Read after ``reduce.py``.

Kernels: ``kernels/codegen/reduction.py``, whose docstring defines the terms along, across, part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..kernels.codegen import reduction
from ..kernels.codegen.reduction import Fold
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import Layout, Shape, coalesce

Axes = tuple[list[int], list[int]]  # sizes, and steps in bytes
Stages = tuple[tuple[Launch, int], ...]  # launches one after another, and bytes of each result


def stages_of(fold: Fold, layout: Layout, dims: Shape, real: np.dtype) -> Stages:
    """Return the launches that fold the axes ``dims``: one for small tensors.

    Each launch folds what the one before left of a result, until a single number is left.
    """

    def axes(which: Sequence[int]) -> Axes:
        sizes = tuple(layout.shape[k] for k in which)
        merged, (steps,) = coalesce(sizes, [tuple(layout.strides[k] for k in which)])
        return merged, steps

    outer, inner = axes([k for k in range(layout.ndim) if k not in dims]), axes(dims)
    if 0 in layout.shape:
        inner = [0], [0]
    dtype, stages, parts = layout.dtype, list[tuple[Launch, int]](), 2
    while parts > 1:
        cut = _Cut(outer, inner, dtype.itemsize)
        places, parts, columns = cut.results
        constants = cut.constants(1 if parts > 1 else math.prod(layout.shape[k] for k in dims))
        names = (str(dtype), cut.access, str(real), str(real))
        launch = Launch(reduction.address(fold, cut.loop, *names), 2, constants, cut.work)
        item = real.itemsize
        stages.append((launch, -(-places * parts * columns * item // 64) * 64))
        fold, dtype = fold.then or fold, real
        outer = _without_ones([(places, parts * columns * item), (columns, item)])
        inner = [parts], [columns * item]
    return tuple(stages)


def _without_ones(axes: list[tuple[int, int]]) -> Axes:
    axes = [axis for axis in axes if axis[0] > 1]
    return [size for size, _ in axes], [step for _, step in axes]


class _Cut:
    """A launch: its loop, its axes, and the number of parts that each result is cut into.

    The parts are shared by the threads; their number depends on sizes alone. A tall, narrow array
    in C order is folded as a wider one, with several rows side by side, which become more parts.
    """

    def __init__(self, outer: Axes, inner: Axes, item: int):
        (kept, kept_steps), (folded, folded_steps) = map(list, outer), map(list, inner)
        across = bool(kept) and (
            not folded
            or kept_steps[-1] == item
            or kept_steps[-1] < folded_steps[-1]
            or folded[-1] <= 16 < kept[-1]
        )
        if across:
            columns, step = kept.pop(), kept_steps.pop()
        elif folded:
            columns, step = folded.pop(), folded_steps.pop()
        else:
            columns, step = 1, item
        repeats, last, size = 1, columns, math.prod(kept) * math.prod(folded) * columns
        flat = across and not kept and step == item and folded_steps == [columns * item]
        if flat and columns <= 128 and size >= 64 * columns:
            repeats = min(256 // columns, math.isqrt(size // columns))
            columns *= repeats
            folded, folded_steps = [-(-size // columns)], [columns * item]
            last = size - (folded[0] - 1) * columns
        places, rows = math.prod(kept), math.prod(folded)
        if across:
            most, tasks = rows // 16, places * -(-columns // reduction.WIDTH)
        else:
            most, tasks = rows * -(-columns // 512), places
        parts = min(size // 2**15, 64) // tasks if size >= 2**17 else 4 * (across and size >= 2**13)
        parts = max(1, min(parts, most), -(-rows // reduction.MOST_ROWS) if across else 1)
        self.loop = reduction.ACROSS if across else reduction.ALONG
        self.access = "c" if step == item else "n"
        self.work = size * item * (0.015 if step == item else 0.1)
        self.results = (places, parts * repeats, columns // repeats if across else 1)
        self._head = [len(kept), places, len(folded), rows, columns, step // item, parts]
        self._tail = [last, *kept, *kept_steps, *folded, *folded_steps]

    def constants(self, n: int) -> list[int]:
        """Return the constants of the kernel; ``n`` is the argument of ``finish``."""
        return [*self._head, n, *self._tail]
