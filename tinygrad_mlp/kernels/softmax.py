"""Softmax, its logarithm, and log-sum-exp of rows, each row shifted by its maximum.

    softmax(x)_i = exp(x_i - m) / sum_j exp(x_j - m)        m = max_j x_j
    logsumexp(x) = m + log(sum_j exp(x_j - m))
    log_softmax(x)_i = x_i - logsumexp(x)

The shift keeps every exponential at most 1: nothing overflows. A row of -inf has no softmax: NaN.

Constants: rows, columns. Words: x (rows in C order), result.
"""

from __future__ import annotations

import functools
import math

from numba import int64, njit
from numba.core import types

from . import vmath
from .launch import compiled
from .memory import pointer


@functools.cache
def address(what: str, dtype: str) -> int:
    """The address of softmax, log_softmax or logsumexp for float32 or float64."""
    make = {"softmax": _softmax, "log_softmax": _log_softmax, "logsumexp": _logsumexp}[what]
    real = getattr(types, dtype)
    return compiled(make(real, real.bitwidth // 8))


@njit(inline="always")
def row_maximum(x, columns):
    """The largest element of a row; NaN if there is one."""
    largest = x[0]
    for i in range(1, columns):
        if x[i] > largest or x[i] != x[i]:
            largest = x[i]
    return largest


def _softmax(real, item):
    def softmax(arguments, thread, threads):
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            x = pointer(words[1] + row * columns * item, real)
            out = pointer(words[2] + row * columns * item, real)
            shift, total = row_maximum(x, columns), real(0)
            for i in range(columns):
                out[i] = vmath.exp(x[i] - shift)
                total += out[i]
            for i in range(columns):
                out[i] = out[i] / total

    return softmax


def _log_softmax(real, item):
    def log_softmax(arguments, thread, threads):
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            x = pointer(words[1] + row * columns * item, real)
            out = pointer(words[2] + row * columns * item, real)
            shift, total = row_maximum(x, columns), real(0)
            for i in range(columns):
                total += vmath.exp(x[i] - shift)
            log_total = vmath.log(total)
            for i in range(columns):
                out[i] = (x[i] - shift) - log_total

    return log_softmax


def _logsumexp(real, item):
    def logsumexp(arguments, thread, threads):
        words = pointer(arguments, int64)
        sizes = pointer(words[0], int64)
        rows, columns = sizes[0], sizes[1]
        out = pointer(words[2], real)
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            x = pointer(words[1] + row * columns * item, real)
            shift = row_maximum(x, columns) if columns else real(-math.inf)
            total = real(0)
            if math.isinf(shift):  # all -inf, or an inf: the shift would make NaN of it
                out[row] = shift
                continue
            for i in range(columns):
                total += vmath.exp(x[i] - shift)
            out[row] = shift + vmath.log(total)

    return logsumexp
