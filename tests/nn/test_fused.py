"""Fused ops equal their textbook forms: results, gradients, gradients of gradients."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp.autograd.modes import record
from tinygrad_mlp.ops.fused.batch_norm import (
    _batch_norm,
    _batch_norm_backward,
    update_running_stats_,
)
from tinygrad_mlp.ops.fused.cross_entropy import (
    _cross_entropy,
    _cross_entropy_backward,
    _nll_loss,
    _nll_loss_backward,
)
from tinygrad_mlp.ops.fused.layer_norm import _layer_norm, _layer_norm_backward

# Sizes around the kernels' blocks of 64 rows and chunks of 1024 columns.
SHAPES = [(2, 1), (3, 5), (64, 128), (65, 129), (200, 300)]


def draw(*shape, seed=0, low=None):
    generator = np.random.default_rng(seed)
    return generator.normal(size=shape) if low is None else generator.uniform(low, 2, shape)


def close(found, wanted, rtol):
    for mine, other in zip(found, wanted, strict=True):
        mine, other = mine.detach().numpy(), other.detach().numpy()
        assert mine.shape == other.shape
        scale = max(abs(other).max(initial=0), 1e-3)
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=rtol * scale)


def normalisations(shape, dtype):
    rows, columns = shape
    x = tg.tensor(3 + draw(rows, columns), dtype=dtype)
    weight = tg.tensor(draw(columns, seed=1, low=0.5), dtype=dtype)
    bias = tg.tensor(draw(columns, seed=2), dtype=dtype)
    return x, weight, bias, tg.tensor(draw(rows, columns, seed=3), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", [_batch_norm, _layer_norm], ids=lambda op: op.name)
def test_normalisation(op, shape, dtype):
    if op is _layer_norm and shape[1] == 1:
        shape = (2, 2)
    x, weight, bias, g = normalisations(shape, dtype)
    rtol = 1e-12 if dtype == "float64" else 2e-5
    given = [value.requires_grad_() for value in (x, weight, bias)]
    fast, slow = op(*given, eps=0.1), op.textbook(*given, eps=0.1)
    close(fast, slow, rtol)
    assert not fast[1].requires_grad
    assert not fast[2].requires_grad
    close(tg.grad(fast[0], given, g), tg.grad(slow[0], given, g), rtol)


@pytest.mark.parametrize("shape", SHAPES)
def test_normalisation_backward(shape):
    x, weight, bias, g = normalisations(shape, "float64")
    _, mean, var = _batch_norm(x, weight, bias, eps=0.1)
    given = (g, x, weight, mean, var)
    close(
        _batch_norm_backward(*given, eps=0.1), _batch_norm_backward.textbook(*given, eps=0.1), 1e-11
    )
    _, mean, r = _layer_norm(x, weight, bias, eps=0.1)
    given = (g, x, weight, mean, r)
    close(_layer_norm_backward(*given), _layer_norm_backward.textbook(*given), 1e-11)


def test_batch_norm_keeps_its_digits_far_from_zero():
    """Summed in one pass, the variance of values around 10,000 would be lost in float32."""
    x = 10_000 + draw(128, 16)
    found = F.batch_norm(tg.tensor(x, dtype="float32"), training=True)
    exact = np.float32(x).astype(float)
    wanted = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    np.testing.assert_allclose(found.numpy(), wanted, atol=2e-3)


@pytest.mark.parametrize("columns", [7, 100, 1000])
def test_layer_norm_keeps_its_digits_far_from_zero(columns):
    """All that is lost is what rounding the mean itself costs, half a unit in its last place."""
    x = (10_000 + draw(128, columns)).astype(np.float32)
    exact = x.astype(np.float64)
    exact -= exact.mean(1, keepdims=True)
    r = 1 / np.sqrt((exact**2).mean(1, keepdims=True) + 1e-5)
    found = F.layer_norm(tg.tensor(x), columns).numpy()
    allowed = 0.6 * np.spacing(np.float32(10_000)) * r + 1e-5
    assert (abs(found - exact * r) <= allowed).all()


LABEL_PARAMS = [
    {"ignore_index": ignored, "label_smoothing": smoothing, "reduction": reduction}
    for ignored in (-100, 1)
    for smoothing in (0.0, 0.25)
    for reduction in ("none", "mean", "sum")
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("params", LABEL_PARAMS, ids=str)
def test_label_losses(params, dtype):
    rtol = 1e-12 if dtype == "float64" else 1e-5
    x = tg.tensor(draw(70, 5), dtype=dtype, requires_grad=True)
    target = tg.tensor(np.random.default_rng(1).integers(0, 5, 70))
    weight = tg.tensor(draw(5, seed=2, low=0.5), dtype=dtype)
    without = {k: v for k, v in params.items() if k != "label_smoothing"}
    for op, backward, options in [
        (_cross_entropy, _cross_entropy_backward, params),
        (_nll_loss, _nll_loss_backward, without),
    ]:
        out, *kept, total = op(x, target, weight, **options)
        slow = op.textbook(x, target, weight, **options)
        close(
            [out, *kept, total] if params["reduction"] != "none" else [out, *kept],
            slow if params["reduction"] != "none" else slow[:-1],
            rtol,
        )
        g = tg.tensor(draw(*out.shape, seed=4), dtype=dtype)
        close(tg.grad(out, x, g), tg.grad(slow[0], x, g), rtol)
        given = (g, *([x.detach(), *kept] if kept else []), target, weight, total)
        close([backward(*given, **options)], [backward.textbook(*given, **options)], rtol)


def test_second_derivatives_go_through_the_textbook():
    x = tg.tensor(draw(4, 3), requires_grad=True)
    (first,) = tg.grad(F.cross_entropy(x, tg.tensor([0, 2, 1, 1])), x, create_graph=True)
    with record() as entries:
        (first * first).sum().backward()
    assert x.grad is not None
    assert "cross_entropy_backward" not in {entry.op.name for entry in entries}


def test_what_only_the_textbook_reads_may_change():
    """The first derivative of batch norm needs no bias; the second differentiates what has one."""

    def changed():
        x, weight, bias, _ = normalisations((5, 3), "float64")
        out = F.batch_norm(x.requires_grad_(), None, None, weight, bias, True)
        bias.add_(1)
        return x, out.sum()

    x, out = changed()
    out.backward()
    assert x.grad is not None
    x, out = changed()
    with pytest.raises(RuntimeError, match=r"`bias` of `batch_norm`.*changed in place"):
        tg.grad(out, x, create_graph=True)


def test_gradient_penalty_of_parameters():
    """The gradient of a gradient by weight and bias: all its parts are on the tape."""

    @tg.enable_grad()
    def penalty(x, weight, bias):
        out = F.batch_norm(x, None, None, weight, bias, True, eps=0.1)
        found = tg.grad((out**3).sum(), [x, weight, bias], create_graph=True)
        return sum((g * g).sum() for g in found)

    x, weight, bias, _ = normalisations((5, 3), "float64")
    assert tg.gradcheck(penalty, [v.requires_grad_() for v in (x, weight, bias)])


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_running_statistics(momentum):
    mean, var, seen = tg.zeros(3), tg.ones(3), tg.zeros(dtype="int64")
    expected_mean, expected_var = np.zeros(3), np.ones(3)
    for k in range(4):
        x = draw(6, 3, seed=k) + k
        F.batch_norm(
            tg.tensor(np.float32(x)),
            mean,
            var,
            training=True,
            momentum=momentum,
            num_batches_tracked=seen,
        )
        m = 1 / (k + 1) if momentum is None else momentum
        expected_mean = (1 - m) * expected_mean + m * x.mean(0)
        expected_var = (1 - m) * expected_var + m * x.var(0, ddof=1)
    assert seen.item() == 4
    np.testing.assert_allclose(mean.numpy(), expected_mean, rtol=1e-5)
    np.testing.assert_allclose(var.numpy(), expected_var, rtol=1e-5)


def test_running_statistics_are_mutated_by_an_op_that_declares_it():
    mean, var = tg.zeros(3), tg.ones(3)
    with record() as entries:
        F.batch_norm(tg.randn(4, 3), mean, var, training=True)
    (entry,) = [entry for entry in entries if entry.op is update_running_stats_]
    assert {id(entry.inputs[k]) for k in entry.op.mutates} >= {id(mean), id(var)}
    assert (mean.storage.version, var.storage.version) == (1, 1)


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm", "cross_entropy", "dropout"])
def test_threads_change_nothing(name):
    """Large enough to be shared among threads; the results are the same bit for bit."""
    target = tg.tensor(np.random.default_rng(1).integers(0, 600, 300))

    def run():
        tg.manual_seed(5)
        x = tg.tensor(np.float32(draw(300, 600)), requires_grad=True)
        out = {
            "batch_norm": lambda: F.batch_norm(x, training=True),
            "layer_norm": lambda: F.layer_norm(x, 600),
            "cross_entropy": lambda: F.cross_entropy(x, target, reduction="none"),
            "dropout": lambda: F.dropout(x),
        }[name]()
        out.backward(tg.tensor(np.float32(draw(*out.shape, seed=1))))
        return out.detach().numpy(), x.grad.numpy()

    before = tg.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            tg.set_num_threads(count)
            results.append(run())
    finally:
        tg.set_num_threads(before)
    for other in results[1:]:
        for mine, first in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(mine, first)


def test_fused_ops_refuse_what_their_kernels_cannot_read():
    x, weight, bias, _ = normalisations((6, 3), "float64")
    with pytest.raises(TypeError, match="C order"):
        _batch_norm(x.T, weight, bias, eps=0.1)
    with pytest.raises(TypeError, match="float32 or float64"):
        _batch_norm(x, weight.float(), bias, eps=0.1)
    with pytest.raises(TypeError, match="num_batches_tracked"):
        update_running_stats_(weight, bias, weight.sum(), weight, bias, momentum=0.1, count=3)
