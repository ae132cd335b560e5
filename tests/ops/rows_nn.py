"""Rows of the ops behind `nn`: normalisation, losses, dropout.

The public functions are called where there are any; further results of their ops, such as the
statistics of a batch, have tests in tests/nn.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

import tinygrad_mlp.nn.functional as F
from tests.ops.table import (
    Row,
    broadcast,
    constant,
    distinct,
    even_tenths,
    fixed,
    labels,
    mask,
    odd_tenths,
    one_of,
    real,
    shaped,
)
from tinygrad_mlp.ops.elementwise import losses
from tinygrad_mlp.ops.fused import batch_norm, cross_entropy, dropout, layer_norm
from tinygrad_mlp.ops.shape.view import contiguous

ANY, WEIGHT, POSITIVE = real(-2, 2), real(-2, 2, 0, margin=0.4), real(0.5, 2)
CLASSES = 4
EPS = 0.5  # large: derivatives of order one also where values are near each other


def in_c_order(op):
    """Call the op itself with its inputs in C order, as backward does."""
    return lambda *tensors, **params: op(*map(contiguous, tensors), **params)


# --- batch normalisation ---


def moments(x, axes):
    mean = x.mean(axes, keepdims=True)
    return mean, ((x - mean) ** 2).mean(axes, keepdims=True)


def np_batch_norm(x, weight, bias):
    axes = (0, *range(2, x.ndim))
    mean, var = moments(x, axes)
    aside = (-1,) + (1,) * (x.ndim - 2)
    return (x - mean) / np.sqrt(var + EPS) * weight.reshape(aside) + bias.reshape(aside)


def np_batch_norm_backward(g, x, weight, mean, var, eps):
    r = 1 / np.sqrt(var + eps)
    h = (x - mean) * r
    g_x = weight * r * (g - g.mean(0) - h * (g * h).mean(0))
    return g_x, (g * h).sum(0), g.sum(0)


def np_update(running_mean, running_var, seen, mean, var, momentum, count):
    m = 1 / (seen + 1) if momentum is None else momentum
    unbiased = var * count / (count - 1)
    return (1 - m) * running_mean + m * mean, (1 - m) * running_var + m * unbiased, seen + 1


@shaped
def batches(draw):
    columns = draw(st.sampled_from([1, 2, 3, 130]))
    rows = draw(st.sampled_from([2, 3, 5])) if columns == 130 else draw(st.integers(2, 70))
    length = draw(st.sampled_from([None, None, 1, 3])) if rows < 5 and columns < 5 else None
    shape = (rows, columns) if length is None else (rows, columns, length)
    return [shape, (columns,), (columns,)], {}


@shaped
def small_batches(draw):
    rows, columns = draw(st.integers(4, 70)), draw(st.integers(1, 5))
    return [(rows, columns)] * 2 + [(columns,)] * 3, {"eps": 0.5}


@shaped
def statistics(draw):
    columns = draw(st.integers(1, 4))
    momentum = draw(st.sampled_from([0.1, 0.75, None]))
    count = draw(st.integers(2, 9))
    return [(columns,)] * 2 + [()] + [(columns,)] * 2, {"momentum": momentum, "count": count}


BATCH_NORM = [
    Row(
        "batch_norm",
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True, eps=EPS),
        np_batch_norm,
        [distinct(), WEIGHT, ANY],
        cases=batches,
        float32=2e-5,
    ),
    Row(
        "batch_norm_backward",
        in_c_order(batch_norm._batch_norm_backward),
        np_batch_norm_backward,
        [constant(d) for d in (ANY, ANY, WEIGHT, ANY, POSITIVE)],
        cases=small_batches,
        float32=2e-5,
    ),
    Row(
        "normalize",
        lambda *arrays, eps: batch_norm.normalize(*arrays, eps),
        lambda x, mean, var, w, b, eps: (x - mean) / np.sqrt(var + eps) * w + b,
        [ANY, ANY, POSITIVE, WEIGHT, ANY],
        cases=broadcast(5, eps=0.1),
        accepts="bif",
        gives="float",
        whole=(1, 4),
    ),
    Row(
        "update_running_stats_",
        lambda m, v, n, mean, var, **p: batch_norm.update_running_stats_(
            m, v, n, contiguous(mean), contiguous(var), **p
        ),
        np_update,
        [constant(ANY), constant(POSITIVE), labels(0, 5), constant(ANY), constant(POSITIVE)],
        cases=statistics,
        mutates=(0, 1, 2),
    ),
]


# --- layer normalisation ---


def np_layer_norm(x, weight, bias):
    mean, var = moments(x, tuple(range(-weight.ndim, 0)))
    return (x - mean) / np.sqrt(var + EPS) * weight + bias


def np_layer_norm_backward(g, x, weight, mean, r):
    h = (x - mean[:, None]) * r[:, None]
    d = g * weight
    along = d.mean(1, keepdims=True) + h * (d * h).mean(1, keepdims=True)
    return r[:, None] * (d - along), (g * h).sum(0), g.sum(0)


@shaped
def samples(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=2)))
    leading = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    return [(*leading, *shape), shape, shape], {}


@shaped
def small_samples(draw):
    rows, columns = draw(st.integers(1, 70)), draw(st.integers(4, 9))
    return [(rows, columns)] * 2 + [(columns,)] + [(rows,)] * 2, {}


LAYER_NORM = [
    Row(
        "layer_norm",
        lambda x, w, b: F.layer_norm(x, w.shape, w, b, EPS),
        np_layer_norm,
        [ANY, WEIGHT, ANY],
        cases=one_of(samples, fixed([(3, 150), (150,), (150,)])),
        float32=2e-5,
    ),
    Row(
        "layer_norm_backward",
        in_c_order(layer_norm._layer_norm_backward),
        np_layer_norm_backward,
        [constant(d) for d in (ANY, ANY, WEIGHT, ANY, POSITIVE)],
        cases=small_samples,
        float32=2e-5,
    ),
]


# --- losses by labels ---


def np_targets(target, weight, ignore_index, smoothing):
    """What each class counts for in each row, (N, C), and the rows' weights."""
    target = target.astype(int)
    hot = (np.where(target < 0, 0, target)[:, None] == np.arange(CLASSES)) * 1.0
    counts = (target != ignore_index) * 1.0
    smooth = (1 - smoothing) * hot + smoothing / CLASSES
    return counts[:, None] * smooth * weight, counts * (hot @ weight)


def np_reduced(each, weights, reduction):
    return {"none": each, "sum": each.sum(), "mean": each.sum() / weights.sum()}[reduction]


def np_nll(log_p, target, weight, ignore_index, reduction, label_smoothing=0.0):
    wanted, weights = np_targets(target, weight, ignore_index, label_smoothing)
    return np_reduced(-(wanted * log_p).sum(1), weights, reduction)


def np_cross_entropy(x, target, weight, **params):
    e = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
    return np_nll(np.log(e / e.sum(1, keepdims=True)), target, weight, **params)


def np_per_row(g, total_weight, reduction):
    return g / total_weight if reduction == "mean" else g


def np_cross_entropy_backward(
    g, logits, shift, total, target, weight, total_weight, ignore_index, label_smoothing, reduction
):
    softmax = np.exp(logits - shift[:, None]) / total[:, None]
    wanted, _ = np_targets(target, weight, ignore_index, label_smoothing)
    rows = np.reshape(np_per_row(g, total_weight, reduction), (-1, 1))
    return rows * (softmax * wanted.sum(1, keepdims=True) - wanted)


def np_nll_loss_backward(g, target, weight, total_weight, ignore_index, reduction):
    wanted, _ = np_targets(target, weight, ignore_index, 0.0)
    return -np.reshape(np_per_row(g, total_weight, reduction), (-1, 1)) * wanted


def by_label(**options):
    """Cases of a loss: where a mean is taken some row counts."""

    @shaped
    def cases(draw):
        reduction = draw(st.sampled_from(["none", "mean", "sum"]))
        rows = draw(st.integers(1 if reduction == "mean" else 0, 5))
        ignored = -100 if reduction == "mean" else draw(st.sampled_from([-100, 1]))
        params = {"ignore_index": ignored, "reduction": reduction}
        return [(rows, CLASSES), (rows,), (CLASSES,)], params | {
            name: draw(values) for name, values in options.items()
        }

    return cases


def by_label_backward(places, **options):
    """Cases of its gradient; ``places`` are the inputs between g and the total weight."""

    @shaped
    def cases(draw):
        reduction = draw(st.sampled_from(["none", "mean", "sum"]))
        rows = draw(st.integers(1, 5))
        shapes = {"x": (rows, CLASSES), "n": (rows,), "w": (CLASSES,)}
        params = {"ignore_index": draw(st.sampled_from([-100, 1]))}
        params |= {name: draw(values) for name, values in options.items()}
        params |= {"reduction": reduction}
        g = (rows,) if reduction == "none" else ()
        return [g, *(shapes[place] for place in places), ()], params

    return cases


SMOOTHING = st.sampled_from([0.0, 0.3])
TARGET, CLASS_WEIGHT = labels(0, CLASSES), constant(POSITIVE)

LABEL_LOSSES = [
    Row(
        "cross_entropy",
        F.cross_entropy,
        np_cross_entropy,
        [ANY, TARGET, CLASS_WEIGHT],
        cases=by_label(label_smoothing=SMOOTHING),
        float32=4e-6,
    ),
    Row(
        "cross_entropy_backward",
        in_c_order(cross_entropy._cross_entropy_backward),
        np_cross_entropy_backward,
        [
            constant(ANY),
            constant(ANY),
            constant(real(2, 3)),
            constant(POSITIVE),
            TARGET,
            CLASS_WEIGHT,
            CLASS_WEIGHT,
        ],
        cases=by_label_backward("xnnnw", label_smoothing=SMOOTHING),
        float32=4e-6,
    ),
    Row(
        "nll_loss", F.nll_loss, np_nll, [ANY, TARGET, CLASS_WEIGHT], cases=by_label(), float32=4e-6
    ),
    Row(
        "nll_loss_backward",
        in_c_order(cross_entropy._nll_loss_backward),
        np_nll_loss_backward,
        [constant(ANY), TARGET, CLASS_WEIGHT, CLASS_WEIGHT],
        cases=by_label_backward("nw"),
    ),
]


# --- elementwise ---

ELEMENTWISE = [
    Row(
        "squared_error",
        losses._squared_error,
        lambda x, y: (x - y) ** 2,
        [ANY, ANY],
        accepts="bif",
        gives="float",
        special={
            "equal": ((1.5, 1.5), 0.0),
            "inf": ((np.inf, 1.0), np.inf),
            "nan": ((np.nan, 1.0), np.nan),
        },
    ),
    Row(
        "absolute_error",
        losses._absolute_error,
        lambda x, y: abs(x - y),
        [odd_tenths(-2, 2), even_tenths(-2, 2)],
        accepts="bif",
        gives="float",
        special={
            "equal": ((1.5, 1.5), 0.0),
            "-inf": ((-np.inf, 1.0), np.inf),
            "nan": ((np.nan, 1.0), np.nan),
        },
        kinks={"equal": ((1.5, 1.5), (0.0, 0.0))},
    ),
    Row(
        "dropout",
        lambda x, mask, scale: dropout._dropout(x, mask, scale),
        lambda x, mask, scale: np.where(mask, x * scale, 0),
        [ANY, mask()],
        cases=broadcast(2, scale=2.5),
        accepts="bif",
        gives="float",
    ),
]

ROWS = [*BATCH_NORM, *LAYER_NORM, *LABEL_LOSSES, *ELEMENTWISE]
