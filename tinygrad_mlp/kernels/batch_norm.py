"""Batch normalisation of (N, C): statistics of each column over the rows, forward and backward.

    mean = sum_n x / N        var = sum_n (x - mean)^2 / N        out = (x - mean) r w + b

with r = 1 / sqrt(var + eps), and, writing d = x - mean and sums over the rows,

    dL/dw = r sum(g d)      dL/db = sum(g)      dL/dx = w r (g - sum(g)/N - d r^2 sum(g d)/N)

The variance is summed around the mean, in a second pass: one pass with sum(x^2) would cancel. A
task is a chunk of columns, so that the inner loops run over adjacent ones in vector lanes; rows are
summed 64 at a time, and those sums into the total: rounding errors grow with N/64. The result of a
column does not depend on the chunk that it is in, nor on the threads.

Source: S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015.

Constants: rows, columns, eps as float64 bits. Words: see each kernel.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import float64, int64, njit
from numba.core import types

from .launch import compiled
from .memory import pointer

CHUNK = 128  # columns of a task
BLOCK = 64  # rows that are summed by themselves


@functools.cache
def address(what: str, dtype: str) -> int:
    """The address of batch_norm, batch_norm_backward or update_running_stats_ for a dtype."""
    make = {"batch_norm": _forward, "batch_norm_backward": _backward,
            "update_running_stats_": _update}[what]  # fmt: skip
    real = getattr(types, dtype)
    return compiled(make(real, real.bitwidth // 8), fastmath={"contract"})


@njit(inline="always")
def fill(array, length, value):
    """Set the first ``length`` elements."""
    for i in range(length):
        array[i] = value


def _forward(real, item):
    def batch_norm(arguments, thread, threads):
        """Words: x, weight, bias, out, mean, var."""
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        eps = real(pointer(words[0], float64)[2])
        count = real(rows)
        block, total, scale = np.empty(CHUNK, real), np.empty(CHUNK, real), np.empty(CHUNK, real)
        chunks = (columns + CHUNK - 1) // CHUNK
        for chunk in range(chunks * thread // threads, chunks * (thread + 1) // threads):
            start = chunk * CHUNK
            length = min(CHUNK, columns - start)
            first_x = words[1] + start * item
            weight = pointer(words[2] + start * item, real)
            bias = pointer(words[3] + start * item, real)
            mean = pointer(words[5] + start * item, real)
            var = pointer(words[6] + start * item, real)
            fill(total, length, real(0))
            for first in range(0, rows, BLOCK):
                fill(block, length, real(0))
                for row in range(first, min(first + BLOCK, rows)):
                    x = pointer(first_x + row * columns * item, real)
                    for i in range(length):
                        block[i] += x[i]
                for i in range(length):
                    total[i] += block[i]
            for i in range(length):
                mean[i] = total[i] / count
            fill(total, length, real(0))
            for first in range(0, rows, BLOCK):
                fill(block, length, real(0))
                for row in range(first, min(first + BLOCK, rows)):
                    x = pointer(first_x + row * columns * item, real)
                    for i in range(length):
                        block[i] += (x[i] - mean[i]) * (x[i] - mean[i])
                for i in range(length):
                    total[i] += block[i]
            for i in range(length):
                var[i] = total[i] / count
                scale[i] = weight[i] / math.sqrt(var[i] + eps)
            for row in range(rows):
                x = pointer(first_x + row * columns * item, real)
                out = pointer(words[4] + (row * columns + start) * item, real)
                for i in range(length):
                    out[i] = (x[i] - mean[i]) * scale[i] + bias[i]

    return batch_norm


def _backward(real, item):
    def batch_norm_backward(arguments, thread, threads):
        """Words: g, x, weight, mean, var, gradients of x, weight and bias."""
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        eps = real(pointer(words[0], float64)[2])
        count = real(rows)
        block, block_d = np.empty(CHUNK, real), np.empty(CHUNK, real)
        total_d, by_g, by_d = np.empty(CHUNK, real), np.empty(CHUNK, real), np.empty(CHUNK, real)
        shift = np.empty(CHUNK, real)
        chunks = (columns + CHUNK - 1) // CHUNK
        for chunk in range(chunks * thread // threads, chunks * (thread + 1) // threads):
            start = chunk * CHUNK
            length = min(CHUNK, columns - start)
            first_g, first_x = words[1] + start * item, words[2] + start * item
            weight = pointer(words[3] + start * item, real)
            mean = pointer(words[4] + start * item, real)
            var = pointer(words[5] + start * item, real)
            for_weight = pointer(words[7] + start * item, real)
            for_bias = pointer(words[8] + start * item, real)
            fill(for_bias, length, real(0))
            fill(total_d, length, real(0))
            for first in range(0, rows, BLOCK):
                fill(block, length, real(0))
                fill(block_d, length, real(0))
                for row in range(first, min(first + BLOCK, rows)):
                    g = pointer(first_g + row * columns * item, real)
                    x = pointer(first_x + row * columns * item, real)
                    for i in range(length):
                        block[i] += g[i]
                        block_d[i] += g[i] * (x[i] - mean[i])
                for i in range(length):
                    for_bias[i] += block[i]
                    total_d[i] += block_d[i]
            for i in range(length):
                r = real(1) / math.sqrt(var[i] + eps)
                for_weight[i] = total_d[i] * r
                by_g[i] = weight[i] * r
                by_d[i] = -by_g[i] * r * r * total_d[i] / count
                shift[i] = -by_g[i] * for_bias[i] / count
            for row in range(rows):
                g = pointer(first_g + row * columns * item, real)
                x = pointer(first_x + row * columns * item, real)
                for_x = pointer(words[6] + (row * columns + start) * item, real)
                for i in range(length):
                    for_x[i] = by_g[i] * g[i] + by_d[i] * (x[i] - mean[i]) + shift[i]

    return batch_norm_backward


def _update(real, item):
    def update_running_stats(arguments, thread, threads):
        """Words: running mean, running var, batches seen, mean, var of this batch.

        Constants: columns; as float64 bits N / (N - 1), which makes the variance unbiased, and the
        momentum, or NaN for the average over all batches.
        """
        if thread != 0:
            return
        words = pointer(arguments, int64)
        columns = pointer(words[0], int64)[0]
        unbias, momentum = pointer(words[0], float64)[1], pointer(words[0], float64)[2]
        running_mean, running_var = pointer(words[1], real), pointer(words[2], real)
        seen = pointer(words[3], int64)
        mean, var = pointer(words[4], real), pointer(words[5], real)
        seen[0] += 1
        new = real(momentum if momentum == momentum else 1.0 / seen[0])
        old, new_var = real(1) - new, new * real(unbias)
        for i in range(columns):
            running_mean[i] = old * running_mean[i] + new * mean[i]
            running_var[i] = old * running_var[i] + new_var * var[i]

    return update_running_stats
