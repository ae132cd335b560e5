"""Batch normalisation of (N, C): statistics of each column over the rows, forward and backward.

Ops and textbook forms: ``ops/fused/batch_norm.py``.

    mean = sum_n x / N        var = sum_n (x - mean)^2 / N        out = (x - mean) r w + b

with r = 1 / sqrt(var + eps), and, writing d = x - mean and sums over the rows,

    dL/dw = r sum(g d)      dL/db = sum(g)      dL/dx = w r (g - sum(g)/N - d r^2 sum(g d)/N)

Each direction takes three launches and reads its inputs from memory twice, row after row:

1. *sums* of each block of rows. Forward, squares are summed around the mean of the block, in a
   second pass while the block is in the cache: one pass with sum(x^2) would cancel. The mean is the
   first row plus the mean difference from it, which keeps its digits far from zero.
2. *totals* of the blocks, in float64. Blocks b of n_b rows, with means m_b and sums of squares S_b
   around them, combine to  mean = sum n_b m_b / N  and  N var = sum (S_b + n_b (m_b - mean)^2)
   (T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", The
   American Statistician 37, 1983).
3. the elements.

Blocks depend on the shape alone, so results do not depend on the number of threads.

Source: S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015.

Constants: rows, columns, eps as float64 bits. The word SUMS is scratch: two rows per block.
"""

from __future__ import annotations

import functools
import math

from numba import float64, int64
from numba.core import types

from ..runtime.launch import compiled
from ..runtime.memory import on_stack, pointer, words_of
from ..runtime.slices import slice_of
from .column_sums import BLOCK, CHUNK, add_blocks, blocks_of, fill

EPS = 2  # a constant


@functools.cache
def address(what: str, dtype: str) -> int:
    """Return the address of a kernel for a dtype."""
    forward = dict(sums=_sums, totals=_totals, elements=_elements, update_running_stats_=_update)
    backward = dict(sums=_backward_sums, totals=_backward_totals, elements=_backward_elements)
    make = forward | {f"backward_{name}": each for name, each in backward.items()}
    real = getattr(types, dtype)
    return compiled(make[what](real, real.bitwidth // 8))


def _sums(real, item):
    X, SUMS = 1, 7

    def batch_norm_sums(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        total, mean = on_stack(CHUNK, real), on_stack(CHUNK, real)
        first, last = slice_of(blocks_of(rows), thread, threads)
        for block in range(first, last):
            count = min(BLOCK, rows - block * BLOCK)
            means = pointer(words[SUMS] + 2 * block * columns * item, real)
            squares = pointer(words[SUMS] + (2 * block + 1) * columns * item, real)
            for start in range(0, columns, CHUNK):
                length = min(CHUNK, columns - start)
                at = words[X] + (block * BLOCK * columns + start) * item
                fill(total, length, real(0))
                origin = pointer(at, real)
                for row in range(1, count):
                    x = pointer(at + row * columns * item, real)
                    for i in range(length):
                        total[i] += x[i] - origin[i]
                for i in range(length):
                    mean[i] = origin[i] + total[i] / real(count)
                fill(total, length, real(0))
                for row in range(count):
                    x = pointer(at + row * columns * item, real)
                    for i in range(length):
                        total[i] += (x[i] - mean[i]) * (x[i] - mean[i])
                for i in range(length):
                    means[start + i], squares[start + i] = mean[i], total[i]

    return batch_norm_sums


def _totals(real, item):
    MEAN, VAR, SUMS = 5, 6, 7

    def batch_norm_totals(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        mean, var = pointer(words[MEAN], real), pointer(words[VAR], real)
        means = pointer(words[SUMS], real)  # of each block, followed by its sums of squares
        blocks = blocks_of(rows)
        first, last = slice_of(columns, thread, threads)
        shift, squares = on_stack(CHUNK, float64), on_stack(CHUNK, float64)
        for start in range(first, last, CHUNK):
            length = min(CHUNK, last - start)
            fill(shift, length, 0.0)
            fill(squares, length, 0.0)
            for block in range(blocks):  # the mean's difference from that of the first block
                count = min(BLOCK, rows - block * BLOCK)
                at = 2 * block * columns + start
                for i in range(length):
                    shift[i] += count * (float64(means[at + i]) - means[start + i])
            for i in range(length):
                shift[i] = means[start + i] + shift[i] / rows
            for block in range(blocks):
                count = min(BLOCK, rows - block * BLOCK)
                at = 2 * block * columns + start
                for i in range(length):
                    difference = means[at + i] - shift[i]
                    squares[i] += means[at + columns + i] + count * difference * difference
            for i in range(length):
                mean[start + i], var[start + i] = shift[i], squares[i] / rows

    return batch_norm_totals


def _elements(real, item):
    X, WEIGHT, BIAS, OUT, MEAN, VAR = range(1, 7)

    def batch_norm(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        eps = real(pointer(words[0], float64)[EPS])
        weight, var = pointer(words[WEIGHT], real), pointer(words[VAR], real)
        scale, bias, mean = on_stack(CHUNK, real), on_stack(CHUNK, real), on_stack(CHUNK, real)
        first, last = slice_of(rows, thread, threads)
        for start in range(0, columns, CHUNK):
            length = min(CHUNK, columns - start)
            for i in range(length):
                scale[i] = weight[start + i] / math.sqrt(var[start + i] + eps)
                bias[i] = pointer(words[BIAS], real)[start + i]
                mean[i] = pointer(words[MEAN], real)[start + i]
            for row in range(first, last):
                x = pointer(words[X] + (row * columns + start) * item, real)
                out = pointer(words[OUT] + (row * columns + start) * item, real)
                for i in range(length):
                    out[i] = (x[i] - mean[i]) * scale[i] + bias[i]

    return batch_norm


def _backward_sums(real, item):
    G, X, MEAN, SUMS = 1, 2, 4, 9

    def batch_norm_backward_sums(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        mean = on_stack(CHUNK, real)
        total, total_d = on_stack(CHUNK, real), on_stack(CHUNK, real)
        first, last = slice_of(blocks_of(rows), thread, threads)
        for block in range(first, last):
            sums = pointer(words[SUMS] + 2 * block * columns * item, real)
            sums_d = pointer(words[SUMS] + (2 * block + 1) * columns * item, real)
            for start in range(0, columns, CHUNK):
                length = min(CHUNK, columns - start)
                fill(total, length, real(0))
                fill(total_d, length, real(0))
                for i in range(length):
                    mean[i] = pointer(words[MEAN], real)[start + i]
                for row in range(block * BLOCK, min(block * BLOCK + BLOCK, rows)):
                    g = pointer(words[G] + (row * columns + start) * item, real)
                    x = pointer(words[X] + (row * columns + start) * item, real)
                    for i in range(length):
                        total[i] += g[i]
                        total_d[i] += g[i] * (x[i] - mean[i])
                for i in range(length):
                    sums[start + i], sums_d[start + i] = total[i], total_d[i]

    return batch_norm_backward_sums


def _backward_totals(real, item):
    VAR, G_WEIGHT, G_BIAS, SUMS = 5, 7, 8, 9

    def batch_norm_backward_totals(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        eps = real(pointer(words[0], float64)[EPS])
        var, for_weight = pointer(words[VAR], real), pointer(words[G_WEIGHT], real)
        first, last = slice_of(columns, thread, threads)
        for_bias = pointer(words[G_BIAS], real)
        add_blocks(pointer(words[SUMS], real), rows, columns, first, last, for_bias, for_weight)
        for i in range(first, last):
            for_weight[i] /= math.sqrt(var[i] + eps)

    return batch_norm_backward_totals


def _backward_elements(real, item):
    G, X, WEIGHT, MEAN, VAR, G_X, G_WEIGHT, G_BIAS = range(1, 9)

    def batch_norm_backward(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        eps = real(pointer(words[0], float64)[EPS])
        weight, var = pointer(words[WEIGHT], real), pointer(words[VAR], real)
        for_weight, for_bias = pointer(words[G_WEIGHT], real), pointer(words[G_BIAS], real)
        by_g, by_d = on_stack(CHUNK, real), on_stack(CHUNK, real)
        shift, mean = on_stack(CHUNK, real), on_stack(CHUNK, real)
        first, last = slice_of(rows, thread, threads)
        for start in range(0, columns, CHUNK):
            length = min(CHUNK, columns - start)
            for i in range(length):
                r = real(1) / math.sqrt(var[start + i] + eps)
                by_g[i] = weight[start + i] * r
                by_d[i] = -by_g[i] * r * for_weight[start + i] / real(rows)
                shift[i] = -by_g[i] * for_bias[start + i] / real(rows)
                mean[i] = pointer(words[MEAN], real)[start + i]
            for row in range(first, last):
                g = pointer(words[G] + (row * columns + start) * item, real)
                x = pointer(words[X] + (row * columns + start) * item, real)
                for_x = pointer(words[G_X] + (row * columns + start) * item, real)
                for i in range(length):
                    for_x[i] = by_g[i] * g[i] + by_d[i] * (x[i] - mean[i]) + shift[i]

    return batch_norm_backward


def _update(real, item):
    RUNNING_MEAN, RUNNING_VAR, SEEN, MEAN, VAR = range(1, 6)
    COLUMNS, UNBIAS, MOMENTUM = range(3)

    def update_running_stats(arguments, thread, threads):
        """Update the running statistics, on one thread.

        Constants: columns; N / (N - 1), which makes the variance unbiased, and the momentum, or NaN
        for the average over all batches, both as float64 bits.
        """
        if thread != 0:
            return
        words, sizes = words_of(arguments)
        columns, scales = sizes[COLUMNS], pointer(words[0], float64)
        unbias, momentum = scales[UNBIAS], scales[MOMENTUM]
        running_mean, seen = pointer(words[RUNNING_MEAN], real), pointer(words[SEEN], int64)
        running_var = pointer(words[RUNNING_VAR], real)
        mean, var = pointer(words[MEAN], real), pointer(words[VAR], real)
        seen[0] += 1
        new = real(momentum if momentum == momentum else 1.0 / seen[0])
        old, new_var = real(1) - new, new * real(unbias)
        for i in range(columns):
            running_mean[i] = old * running_mean[i] + new * mean[i]
            running_var[i] = old * running_var[i] + new_var * var[i]

    return update_running_stats
