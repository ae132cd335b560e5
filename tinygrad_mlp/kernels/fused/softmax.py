"""Softmax, log-softmax and log-sum-exp of rows, each row shifted by its maximum.

Ops and textbook forms: ``ops/fused/softmax.py``.

    softmax(x)_i = exp(x_i - m) / sum_j exp(x_j - m)        m = max_j x_j
    logsumexp(x) = m + log(sum_j exp(x_j - m))
    log_softmax(x)_i = x_i - logsumexp(x)

The shift keeps every exponential at most 1, so nothing overflows. The softmax of a row of -inf is
NaN.

Short rows are processed in groups of about a thousand elements, which stay in the L1 cache:
elementwise steps, the exponential above all, then vectorise over a whole group, however short its
rows. A row's result does not depend on its group. Sums have the order of ``codegen/lanes.py``; sums
of fewer than eight elements are sequential.

Constants: rows, columns. x is in C order.
"""

from __future__ import annotations

import functools
import math

from numba import njit
from numba.core import types

from .. import vmath
from ..codegen.lanes import SHORT, element, inlined, load, sum_lanes, zero_of
from ..runtime.launch import compiled
from ..runtime.memory import on_stack, pointer, words_of
from ..runtime.slices import slice_of
from ..vmath.minmax import maximum

X, OUT = 1, 2  # words
GROUP, LONG = 1024, 64  # elements of a group; of a row that is long enough without a group


@functools.cache
def address(what: str, dtype: str) -> int:
    """Return the address of softmax, log_softmax or logsumexp for float32 or float64."""
    make = {"softmax": _softmax, "log_softmax": _log_softmax, "logsumexp": _logsumexp}[what]
    real = getattr(types, dtype)
    return compiled(make(real, real.bitwidth // 8))


@njit(inline="always")
def rows_together(columns):
    """Return the number of rows of a group."""
    return GROUP // max(columns, 1) if columns < LONG else 1


@njit(error_model="numpy")
def maxima(x, rows, columns, out):
    """Compute the largest element of each row, 0 for -0; NaN if there is one."""
    zero = zero_of(x)
    if columns < SHORT:
        for row in range(rows):
            out[row] = x[row * columns]
        for column in range(1, columns):
            for row in range(rows):
                out[row] = maximum(out[row], x[row * columns + column])
        for row in range(rows):
            out[row] += zero
        return
    for row in range(rows):
        largest = x[row * columns]
        for i in range(row * columns, (row + 1) * columns):
            largest = maximum(largest, x[i])
        out[row] = largest + zero


@njit(error_model="numpy")
def exponentials(x, shift, rows, columns, out):
    """Compute exp(x - shift), element by element, with one shift per row."""
    if columns >= LONG:
        for row in range(rows):
            for i in range(row * columns, (row + 1) * columns):
                out[i] = vmath.exp(x[i] - shift[row])
        return
    if columns < SHORT:
        for column in range(columns):
            for row in range(rows):
                out[row * columns + column] = x[row * columns + column] - shift[row]
    else:
        for row in range(rows):
            for i in range(row * columns, (row + 1) * columns):
                out[i] = x[i] - shift[row]
    for i in range(rows * columns):
        out[i] = vmath.exp(out[i])


@njit(error_model="numpy")
def totals(x, shift, rows, columns, buffer, out):
    """Compute the sum of exp(x - shift) of each row; ``buffer`` holds GROUP elements."""
    if columns < LONG:
        exponentials(x, shift, rows, columns, buffer)
    if columns < SHORT:
        for row in range(rows):
            out[row] = 0
        for column in range(columns):
            for row in range(rows):
                out[row] += buffer[row * columns + column]
        return
    for row in range(rows):
        if columns < LONG:
            out[row] = sum_lanes(zero_of(x), element, columns, (buffer, row * columns))
        else:
            terms = (x, row * columns, shift[row])
            out[row] = sum_lanes(zero_of(x), exponential, columns, terms)


@inlined
def exponential(i, count, x, start, shift):
    """Return terms of `sum_lanes`: exp(x - shift)."""
    return vmath.exp(load(x, start + i, count) - shift)


def _softmax(real, item):
    def softmax(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        shift = on_stack(GROUP, real)
        first, last = slice_of(rows, thread, threads)
        for row in range(first, last, rows_together(columns)):
            count = min(rows_together(columns), last - row)
            x = pointer(words[X] + row * columns * item, real)
            out = pointer(words[OUT] + row * columns * item, real)
            maxima(x, count, columns, shift)
            exponentials(x, shift, count, columns, out)
            divide_by_sums(out, count, columns)

    return softmax


@njit(error_model="numpy")
def divide_by_sums(x, rows, columns):
    """Divide each row by its sum."""
    for row in range(rows):
        total = zero_of(x)
        if columns < SHORT:
            for i in range(row * columns, (row + 1) * columns):
                total += x[i]
        else:
            total = sum_lanes(total, element, columns, (x, row * columns))
        for i in range(row * columns, (row + 1) * columns):
            x[i] /= total


def _log_softmax(real, item):
    def log_softmax(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        shift, total, buffer = on_stack(GROUP, real), on_stack(GROUP, real), on_stack(GROUP, real)
        first, last = slice_of(rows, thread, threads)
        for row in range(first, last, rows_together(columns)):
            count = min(rows_together(columns), last - row)
            x = pointer(words[X] + row * columns * item, real)
            out = pointer(words[OUT] + row * columns * item, real)
            maxima(x, count, columns, shift)
            totals(x, shift, count, columns, buffer, total)
            for k in range(count):
                log_total = vmath.log(total[k])
                for i in range(k * columns, (k + 1) * columns):
                    out[i] = (x[i] - shift[k]) - log_total

    return log_softmax


def _logsumexp(real, item):
    def logsumexp(arguments, thread, threads):
        words, sizes = words_of(arguments)
        rows, columns = sizes[0], sizes[1]
        out = pointer(words[OUT], real)
        shift, total, buffer = on_stack(GROUP, real), on_stack(GROUP, real), on_stack(GROUP, real)
        first, last = slice_of(rows, thread, threads)
        for row in range(first, last, rows_together(columns)):
            count = min(rows_together(columns), last - row)
            x = pointer(words[X] + row * columns * item, real)
            if columns:
                maxima(x, count, columns, shift)
            else:
                for k in range(count):
                    shift[k] = real(-math.inf)
            totals(x, shift, count, columns, buffer, total)
            for k in range(count):  # all -inf, or an inf: the shift would make NaN of it
                infinite = math.isinf(shift[k])
                out[row + k] = shift[k] if infinite else shift[k] + vmath.log(total[k])

    return logsumexp
