"""Cross-entropy of logits with class labels, and the negative log-likelihood loss, row by row.

Ops and textbook forms: ``ops/fused/cross_entropy.py``.

With p = softmax(x), y the label of a row, w the weights of the C classes and s the smoothing,

    loss = (1 - s) w_y (-log p_y) + s/C sum_c w_c (-log p_c)
    dloss/dx_c = p_c ((1 - s) w_y + s/C sum_k w_k) - s/C w_c - (1 - s) w_y [c = y]

and a mean divides the sum of the losses by the sum of w_y. A row whose label is ``ignore_index``
has loss, weight and gradient 0. A label that is not a class makes the loss of its row NaN; no
kernel reads or writes outside of the arrays.

Constants: rows, columns, ignore_index, then those of the kernel.
"""

from __future__ import annotations

import functools
import math

from numba import float64, int64, njit
from numba.core import types

from .. import vmath
from ..codegen.lanes import element, inlined, load, sum_lanes, sum_row
from ..runtime.launch import compiled
from ..runtime.memory import on_stack, pointer, words_of
from ..runtime.slices import slice_of
from .softmax import GROUP, exponentials, maxima, rows_together, totals

NONE, MEAN, SUM = 0, 1, 2
ROWS, COLUMNS, IGNORED, SMOOTHING = range(4)  # constants
REDUCTION = 3  # a constant of the kernels without smoothing


@functools.cache
def address(what: str, dtype: str) -> int:
    """Return the address of a kernel for float32 or float64 logits."""
    forward = dict(cross_entropy=_cross_entropy, nll_loss=_nll_loss, total=_total)
    backward = dict(cross_entropy=_cross_entropy_backward, nll_loss=_nll_loss_backward)
    make = forward | {f"{name}_backward": each for name, each in backward.items()}
    real = getattr(types, dtype)
    return compiled(make[what](real, real.bitwidth // 8))


@inlined
def weighted(c, count, weights, x, shift, log_total):
    """Return terms of `sum_row`: the negative log-likelihood of each class, times its weight."""
    return load(weights, c, count) * (log_total - (load(x, c, count) - shift))


def _cross_entropy(real, item):
    X, LABELS, WEIGHTS, LOSSES, ROW_WEIGHTS, SHIFT, SUM = range(1, 8)

    def cross_entropy(arguments, thread, threads):
        """Constant 3: smoothing.

        Per row only the largest element and the sum of exp(x - shift) are stored: recomputing the
        softmax in the backward pass takes less time than writing and reading it.
        """
        words, sizes = words_of(arguments)
        rows, columns, ignored = sizes[ROWS], sizes[COLUMNS], sizes[IGNORED]
        smoothing = real(pointer(words[0], float64)[SMOOTHING])
        labels, weights = pointer(words[LABELS], int64), pointer(words[WEIGHTS], real)
        losses, row_weights = pointer(words[LOSSES], real), pointer(words[ROW_WEIGHTS], real)
        buffer = on_stack(GROUP, real)
        begin, last = slice_of(rows, thread, threads)
        for first in range(begin, last, rows_together(columns)):
            count = min(rows_together(columns), last - first)
            group = pointer(words[X] + first * columns * item, real)
            shifts = pointer(words[SHIFT] + first * item, real)
            sums = pointer(words[SUM] + first * item, real)
            maxima(group, count, columns, shifts)
            totals(group, shifts, count, columns, buffer, sums)
            for k in range(count):  # a loop of its own, which vectorises
                buffer[k] = vmath.log(sums[k])
            for row in range(first, first + count):
                x, shift = pointer(words[X] + row * columns * item, real), shifts[row - first]
                label, log_total = labels[row], buffer[row - first]
                if label == ignored:
                    losses[row] = row_weights[row] = real(0)
                elif label < 0 or label >= columns:
                    losses[row] = row_weights[row] = real(math.nan)
                else:
                    row_weights[row] = weights[label]
                    losses[row] = weights[label] * (log_total - (x[label] - shift))
                    if smoothing != 0:
                        spread = sum_row(real(0), weighted, columns, (weights, x, shift, log_total))
                        smooth = smoothing * (spread / real(columns))  # either may be infinite
                        losses[row] = (real(1) - smoothing) * losses[row] + smooth

    return cross_entropy


def _total(real, item):
    LOSSES, ROW_WEIGHTS, TOTAL, TOTAL_WEIGHT = range(1, 5)

    def total(arguments, thread, threads):
        """Constant 3: SUM, MEAN, or NONE, which leaves the losses as they are."""
        if thread != 0:
            return
        words, sizes = words_of(arguments)
        rows, reduction = sizes[ROWS], sizes[REDUCTION]
        losses, row_weights = pointer(words[LOSSES], real), pointer(words[ROW_WEIGHTS], real)
        loss, weight = float64(0), float64(0)  # float64, as one thread sums all rows sequentially
        for row in range(rows):
            loss += losses[row]
            weight += row_weights[row]
        if reduction != NONE:
            pointer(words[TOTAL], real)[0] = loss / weight if reduction == MEAN else loss
        pointer(words[TOTAL_WEIGHT], real)[0] = weight

    return total


@njit(inline="always")
def row_gradient(g, row, reduction, total_weight):
    """Return the gradient of one row's loss."""
    if reduction == NONE:
        return g[row]
    return g[0] / total_weight[0] if reduction == MEAN else g[0]


def _cross_entropy_backward(real, item):
    G, X, SHIFT, SUM, LABELS, WEIGHTS, TOTAL_WEIGHT, G_X = range(1, 9)

    def cross_entropy_backward(arguments, thread, threads):
        """Constants 3 and 4: smoothing, reduction."""
        words, sizes = words_of(arguments)
        rows, columns, ignored = sizes[ROWS], sizes[COLUMNS], sizes[IGNORED]
        reduction = sizes[SMOOTHING + 1]
        smoothing = real(pointer(words[0], float64)[SMOOTHING])
        g, labels = pointer(words[G], real), pointer(words[LABELS], int64)
        weights = pointer(words[WEIGHTS], real)
        total_weight, sums = pointer(words[TOTAL_WEIGHT], real), pointer(words[SUM], real)
        all_weights = sum_lanes(real(0), element, columns, (weights, 0))
        smooth = smoothing / real(columns)
        begin, last = slice_of(rows, thread, threads)
        for first in range(begin, last, rows_together(columns)):
            count = min(rows_together(columns), last - first)
            x = pointer(words[X] + first * columns * item, real)
            shifts = pointer(words[SHIFT] + first * item, real)
            out = pointer(words[G_X] + first * columns * item, real)
            exponentials(x, shifts, count, columns, out)
            for row in range(first, first + count):
                for_x = pointer(words[G_X] + row * columns * item, real)
                label = labels[row]
                if label == ignored or label < 0 or label >= columns:
                    for c in range(columns):
                        for_x[c] = real(0 if label == ignored else math.nan)
                    continue
                arriving = row_gradient(g, row, reduction, total_weight)
                chosen = (real(1) - smoothing) * weights[label] * arriving
                scale = (chosen + smooth * all_weights * arriving) / sums[row]
                spread = smooth * arriving
                for c in range(columns):
                    for_x[c] = for_x[c] * scale - spread * weights[c]
                for_x[label] -= chosen

    return cross_entropy_backward


def _nll_loss(real, item):
    X, LABELS, WEIGHTS, LOSSES, ROW_WEIGHTS = range(1, 6)

    def nll_loss(arguments, thread, threads):
        """Compute -w_y x_y of each row."""
        words, sizes = words_of(arguments)
        rows, columns, ignored = sizes[ROWS], sizes[COLUMNS], sizes[IGNORED]
        labels, weights = pointer(words[LABELS], int64), pointer(words[WEIGHTS], real)
        losses, row_weights = pointer(words[LOSSES], real), pointer(words[ROW_WEIGHTS], real)
        first, last = slice_of(rows, thread, threads)
        for row in range(first, last):
            label = labels[row]
            if label == ignored:
                losses[row] = row_weights[row] = real(0)
            elif label < 0 or label >= columns:
                losses[row] = row_weights[row] = real(math.nan)
            else:
                row_weights[row] = weights[label]
                x = pointer(words[X] + row * columns * item, real)
                losses[row] = -weights[label] * x[label]

    return nll_loss


def _nll_loss_backward(real, item):
    G, LABELS, WEIGHTS, TOTAL_WEIGHT, G_X = range(1, 6)

    def nll_loss_backward(arguments, thread, threads):
        """Constant 3: reduction."""
        words, sizes = words_of(arguments)
        rows, columns, ignored = sizes[ROWS], sizes[COLUMNS], sizes[IGNORED]
        reduction = sizes[REDUCTION]
        g, labels = pointer(words[G], real), pointer(words[LABELS], int64)
        weights = pointer(words[WEIGHTS], real)
        total_weight = pointer(words[TOTAL_WEIGHT], real)
        first, last = slice_of(rows, thread, threads)
        for row in range(first, last):
            for_x = pointer(words[G_X] + row * columns * item, real)
            for c in range(columns):
                for_x[c] = real(0)
            label = labels[row]
            if label != ignored and 0 <= label < columns:
                for_x[label] = -weights[label] * row_gradient(g, row, reduction, total_weight)

    return nll_loss_backward
