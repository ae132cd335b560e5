"""Layer normalisation: statistics of each row over its D elements, forward and backward.

Ops and textbook forms: ``ops/fused/layer_norm.py``.

    mean = sum_i x / D    r = 1 / sqrt(sum_i (x - mean)^2 / D + eps)    out = (x - mean) r w + b

and with h = (x - mean) r and d = g w

    dL/dx = r (d - sum_i(d)/D - h sum_i(d h)/D)        dL/dw = sum_n(g h)        dL/db = sum_n(g)

The mean is the first element plus the mean difference from it, which keeps its digits far from
zero. Sums along a row have sixteen lanes (``codegen/lanes.py``). Backward takes two launches: the
first reads g and x once, computes dL/dx, and sums dL/dw and dL/db over a block of rows while each
row is in the cache; the second adds the blocks in float64. Blocks depend on the shape alone.

Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv 1607.06450.

Constants: rows, columns, eps as float64 bits.
"""

from __future__ import annotations

import functools
import math

from numba import float64
from numba.core import types

from ..codegen.lanes import inlined, load, sum_row
from ..runtime.launch import compiled
from ..runtime.memory import pointer, words_of
from ..runtime.slices import slice_of
from ..vmath.bits import multiply_add
from .column_sums import BLOCK, add_blocks, blocks_of, fill

EPS = 2  # a constant


@functools.cache
def address(what: str, dtype: str) -> int:
    """Return the address of layer_norm, or of one of the two kernels of its gradient."""
    makers = {"layer_norm": _forward, "backward": _backward, "backward_totals": _backward_totals}
    real = getattr(types, dtype)
    return compiled(makers[what](real, real.bitwidth // 8))


@inlined
def deviation(i, count, x, mean):
    """Return terms of `sum_row`: x - mean."""
    return load(x, i, count) - mean


@inlined
def squared_deviation(i, count, x, mean):
    """Return terms of `sum_row`: (x - mean)^2."""
    difference = load(x, i, count) - mean
    return difference * difference


@inlined
def products(i, count, g, weight, x, mean, r):
    """Return terms of `sum_row`: g w and g w h."""
    d = load(g, i, count) * load(weight, i, count)
    return d, d * ((load(x, i, count) - mean) * r)


def _forward(real, item):
    X, WEIGHT, BIAS, OUT, MEAN, R = range(1, 7)

    def layer_norm(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        eps = real(pointer(words[0], float64)[EPS])
        weight, bias = pointer(words[WEIGHT], real), pointer(words[BIAS], real)
        means, rs = pointer(words[MEAN], real), pointer(words[R], real)
        count = real(columns)
        first, last = slice_of(rows, thread, threads)
        for row in range(first, last):
            x = pointer(words[X] + row * columns * item, real)
            out = pointer(words[OUT] + row * columns * item, real)
            mean = x[0] + sum_row(real(0), deviation, columns, (x, x[0])) / count
            total = sum_row(real(0), squared_deviation, columns, (x, mean))
            r = real(1) / math.sqrt(total / count + eps)
            for i in range(columns):
                out[i] = multiply_add((x[i] - mean) * r, weight[i], bias[i])
            means[row], rs[row] = mean, r

    return layer_norm


def _backward(real, item):
    G, X, WEIGHT, MEAN, R, G_X, _, _, SUMS = range(1, 10)

    def layer_norm_backward(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        weight, means = pointer(words[WEIGHT], real), pointer(words[MEAN], real)
        rs = pointer(words[R], real)
        count = real(columns)
        first, last = slice_of(blocks_of(rows), thread, threads)
        for block in range(first, last):
            sums = pointer(words[SUMS] + 2 * block * columns * item, real)
            sums_h = pointer(words[SUMS] + (2 * block + 1) * columns * item, real)
            fill(sums, columns, real(0))
            fill(sums_h, columns, real(0))
            for row in range(block * BLOCK, min(block * BLOCK + BLOCK, rows)):
                g = pointer(words[G] + row * columns * item, real)
                x = pointer(words[X] + row * columns * item, real)
                for_x = pointer(words[G_X] + row * columns * item, real)
                mean, r = means[row], rs[row]
                total, total_h = sum_row(real(0), products, columns, (g, weight, x, mean, r))
                shift, slope = total / count, total_h / count
                for i in range(columns):
                    h = (x[i] - mean) * r
                    sums[i] += g[i]
                    sums_h[i] = multiply_add(g[i], h, sums_h[i])
                    for_x[i] = r * multiply_add(-h, slope, multiply_add(g[i], weight[i], -shift))

    return layer_norm_backward


def _backward_totals(real, item):
    G_WEIGHT, G_BIAS, SUMS = 7, 8, 9

    def layer_norm_backward_totals(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        first, last = slice_of(columns, thread, threads)
        g_bias, g_weight = pointer(words[G_BIAS], real), pointer(words[G_WEIGHT], real)
        add_blocks(pointer(words[SUMS], real), rows, columns, first, last, g_bias, g_weight)

    return layer_norm_backward_totals
