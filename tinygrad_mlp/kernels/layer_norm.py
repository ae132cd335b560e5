"""Layer normalisation of rows: statistics of each row over its D elements, forward and backward.

    mean = sum_i x / D    r = 1 / sqrt(sum_i (x - mean)^2 / D + eps)    out = (x - mean) r w + b

and with h = (x - mean) r and d = g w

    dL/dx = r (d - sum_i(d)/D - h sum_i(d h)/D)        dL/dw = sum_n(g h)        dL/db = sum_n(g)

Sums along a row are made in vector lanes ("reassoc"), sums over the rows like those of
``batch_norm``: a task is a chunk of columns.

Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv 1607.06450.

Constants: rows, columns, eps as float64 bits. Words: see each kernel.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import float64, int64
from numba.core import types

from .launch import compiled
from .memory import pointer

CHUNK = 128  # columns of a task of the parameters' gradients
BLOCK = 64  # rows that are summed by themselves


@functools.cache
def address(what: str, dtype: str) -> int:
    """The address of layer_norm, or of its gradient by the ``rows`` or the ``parameters``."""
    makers = {"layer_norm": _forward, "rows": _backward_rows, "parameters": _backward_parameters}
    real = getattr(types, dtype)
    return compiled(makers[what](real, real.bitwidth // 8), fastmath={"contract", "reassoc"})


def _forward(real, item):
    def layer_norm(arguments, thread, threads):
        """Words: x, weight, bias, out, mean, r."""
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        eps = real(pointer(words[0], float64)[2])
        weight, bias = pointer(words[2], real), pointer(words[3], real)
        means, rs = pointer(words[5], real), pointer(words[6], real)
        count = real(columns)
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            x = pointer(words[1] + row * columns * item, real)
            out = pointer(words[4] + row * columns * item, real)
            total = real(0)
            for i in range(columns):
                total += x[i]
            mean = total / count
            total = real(0)
            for i in range(columns):
                total += (x[i] - mean) * (x[i] - mean)
            r = real(1) / math.sqrt(total / count + eps)
            for i in range(columns):
                out[i] = (x[i] - mean) * r * weight[i] + bias[i]
            means[row], rs[row] = mean, r

    return layer_norm


def _backward_rows(real, item):
    def layer_norm_backward_rows(arguments, thread, threads):
        """Words: g, x, weight, mean, r, gradient of x, two that are not used."""
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        weight = pointer(words[3], real)
        means, rs = pointer(words[4], real), pointer(words[5], real)
        count = real(columns)
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            g = pointer(words[1] + row * columns * item, real)
            x = pointer(words[2] + row * columns * item, real)
            for_x = pointer(words[6] + row * columns * item, real)
            mean, r = means[row], rs[row]
            total, total_h = real(0), real(0)
            for i in range(columns):
                total += g[i] * weight[i]
                total_h += g[i] * weight[i] * ((x[i] - mean) * r)
            shift, slope = total / count, total_h / count
            for i in range(columns):
                for_x[i] = r * (g[i] * weight[i] - shift - (x[i] - mean) * r * slope)

    return layer_norm_backward_rows


def _backward_parameters(real, item):
    def layer_norm_backward_parameters(arguments, thread, threads):
        """Words: g, x, weight (not used), mean, r, one not used, gradients of weight and bias."""
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        means, rs = pointer(words[4], real), pointer(words[5], real)
        block, block_h = np.empty(CHUNK, real), np.empty(CHUNK, real)
        chunks = (columns + CHUNK - 1) // CHUNK
        for chunk in range(chunks * thread // threads, chunks * (thread + 1) // threads):
            start = chunk * CHUNK
            length = min(CHUNK, columns - start)
            for_weight = pointer(words[7] + start * item, real)
            for_bias = pointer(words[8] + start * item, real)
            for i in range(length):
                for_weight[i] = for_bias[i] = 0
            for first in range(0, rows, BLOCK):
                for i in range(length):
                    block[i] = block_h[i] = 0
                for row in range(first, min(first + BLOCK, rows)):
                    g = pointer(words[1] + (row * columns + start) * item, real)
                    x = pointer(words[2] + (row * columns + start) * item, real)
                    mean, r = means[row], rs[row]
                    for i in range(length):
                        block[i] += g[i]
                        block_h[i] += g[i] * ((x[i] - mean) * r)
                for i in range(length):
                    for_bias[i] += block[i]
                    for_weight[i] += block_h[i]

    return layer_norm_backward_parameters
