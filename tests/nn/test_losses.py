"""Losses: values by hand, special values, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn


def test_cross_entropy_of_large_logits_does_not_overflow():
    x = tg.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = F.cross_entropy(x, tg.tensor([0, 0]), reduction="none")
    np.testing.assert_array_equal(loss.detach().numpy(), [0, 2e4])
    loss.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0], [-1, 1]])


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_binary_cross_entropy_where_a_logarithm_counts_as_100(dtype):
    """Worked out: 1e-44 (subnormal in float32) has the logarithm -101.3, e^-90 has -90."""
    x = tg.tensor([0, 1, 0, 1, 1e-44, math.exp(-90), 0.5], dtype=dtype, requires_grad=True)
    y = tg.tensor([1, 0, 0, 1, 1, 0.25, 0.25], dtype=dtype, requires_grad=True)
    loss = F.binary_cross_entropy(x, y, reduction="none")
    expected = [100, 100, 0, 0, 100, 90 / 4, math.log(2)]
    np.testing.assert_allclose(loss.detach().numpy(), expected, 1e-6)
    loss.sum().backward()
    # (x - y) / (x (1 - x)), the denominator at least 1e-12
    np.testing.assert_allclose(x.grad.numpy(), [-1e12, 1e12, 0, 0, -1e12, -2.5e11, 1], 1e-6)
    # log(1 - x) - log(x), each at least -100; in PyTorch these may be infinite
    np.testing.assert_allclose(y.grad.numpy(), [100, -100, 100, -100, 100, 90, 0], 1e-6)
    total = F.binary_cross_entropy(x.detach(), y.detach()).item()
    assert total == pytest.approx(sum(expected) / 7, rel=1e-6)


def test_cross_entropy_where_a_class_is_impossible():
    x = tg.tensor([[0.0, -math.inf, 0.0]], requires_grad=True)
    loss = F.cross_entropy(x, tg.tensor([0]))
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-0.5, 0, 0.5]], atol=1e-7)


@pytest.mark.parametrize("row", [[math.nan, 0.0], [-math.inf, -math.inf], [math.inf, 0.0]])
def test_cross_entropy_of_no_distribution_is_nan(row):
    assert math.isnan(F.cross_entropy(tg.tensor([row]), tg.tensor([0])).item())


def test_ignored_rows_do_not_count():
    x, y = tg.randn(6, 3), tg.tensor([0, 1, -100, 2, -100, 0])
    kept = tg.tensor([0, 1, 3, 5])
    assert F.cross_entropy(x, y).item() == pytest.approx(F.cross_entropy(x[kept], y[kept]).item())
    assert F.cross_entropy(x, y, reduction="none").tolist()[2] == 0
    assert math.isnan(F.cross_entropy(x, tg.full((6,), -100)).item())  # the mean of none


def test_labels_equal_one_hot_probabilities():
    x, y = tg.randn(6, 4, dtype="float64"), tg.tensor([0, 3, 1, 1, 2, 0])
    weight = tg.tensor([1.0, 2.0, 0.5, 1.5], dtype="float64")
    hot = F.one_hot(y, 4).double()
    for smoothing in (0.0, 0.1):
        a = F.cross_entropy(x, y, weight, reduction="none", label_smoothing=smoothing)
        b = F.cross_entropy(x, hot, weight, reduction="none", label_smoothing=smoothing)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_smoothing_of_an_impossible_class_is_infinite_not_nan() -> None:
    x = tg.tensor([[1.0, -math.inf, 2.0]])
    assert F.cross_entropy(x, tg.tensor([1]), label_smoothing=0.1).item() == math.inf
    assert F.cross_entropy(x, tg.tensor([0]), label_smoothing=0.1).item() == math.inf


def test_the_axis_of_classes_is_the_second():
    x, y = tg.randn(2, 3, 4, 5), tg.randint(0, 3, (2, 4, 5))
    rows = x.permute(0, 2, 3, 1).reshape(-1, 3)
    each = F.cross_entropy(x, y, reduction="none")
    assert each.shape == (2, 4, 5)
    wanted = F.cross_entropy(rows, y.reshape(-1), reduction="none")
    np.testing.assert_allclose(each.numpy().ravel(), wanted.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_labels_are_any_integers(dtype):
    y = np.array([0, 2], dtype)
    x = tg.tensor([[1.0, 2.0, 3.0]] * 2)
    wanted = F.cross_entropy(x, tg.tensor([0, 2]))
    assert F.cross_entropy(x, y).item() == wanted.item()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize(("label", "row"), [(3, 2), (-1, 0), (2**40, 1)])
def test_error_names_the_label_out_of_range(loss, label, row):
    x = tg.zeros(4, 3, requires_grad=True)
    y = tg.tensor([0, 1, 2, 0])
    y[row] = label
    message = rf"target\[{row}\] is {label}, but .*\(4, 3\) has 3 classes: labels are 0 to 2"
    for reduction in ("none", "mean", "sum"):
        with pytest.raises(IndexError, match=message):
            loss(x, y, reduction=reduction)


X = tg.zeros(4, 3)
Y = tg.zeros(4, dtype="int64")
P = tg.full((4, 3), 0.5)
REFUSED = [
    (lambda: F.cross_entropy(X, Y.float()), TypeError, r"float32 of shape \(4,\).*target.long\(\)"),
    (lambda: F.cross_entropy(X, Y.bool()), TypeError, "bool"),
    (lambda: F.cross_entropy(X, Y.reshape(4, 1)), ValueError, r"\(4, 1\).*of shape \(4,\)"),
    (lambda: F.cross_entropy(X, X.double()), TypeError, "target.to"),
    (lambda: F.cross_entropy(X, X, ignore_index=1), ValueError, "ignore_index"),
    (lambda: F.cross_entropy(X.long(), Y), TypeError, "input.float"),
    (lambda: F.cross_entropy(X[:0], Y[:0]), ValueError, "empty batch"),
    (lambda: F.cross_entropy(X[:0], X[:0]), ValueError, "empty batch"),
    (lambda: F.cross_entropy(X[:, :0], Y), ValueError, "at least one class"),
    (lambda: F.cross_entropy(X, Y, reduction="avg"), ValueError, "'avg'"),
    (lambda: F.cross_entropy(X, Y, label_smoothing=1.5), ValueError, "1.5"),
    (lambda: F.cross_entropy(X, Y, tg.ones(4)), ValueError, r"`weight` has shape \(4,\)"),
    (lambda: F.cross_entropy(X, [0, 1, 2, 0]), TypeError, "tg.tensor"),
    (lambda: F.nll_loss(X, X), TypeError, "int64"),
    (lambda: F.mse_loss(X, X[:, :1]), ValueError, r"\(4, 1\)"),
    (lambda: F.mse_loss(X, X.double()), TypeError, "float64"),
    (lambda: F.mse_loss(X[:0], X[:0]), ValueError, "empty batch"),
    (lambda: F.l1_loss(X, Y), ValueError, r"\(4,\)"),
    (lambda: F.huber_loss(X, X, delta=0), ValueError, "delta"),
    (lambda: F.binary_cross_entropy(X + 1.5, X), ValueError, "1.5.*with_logits"),
    (lambda: F.binary_cross_entropy(P * math.nan, P), ValueError, "`input` .*nan"),
    (lambda: F.binary_cross_entropy(P, P + 0.75), ValueError, r"`target` .* 0 to 1, .* 1\.25"),
    (lambda: F.binary_cross_entropy(P, P, tg.ones(2, 4, 3)), ValueError, r"`weight` .*\(2, 4, 3\)"),
    (lambda: F.binary_cross_entropy(P, P, tg.ones(2)), ValueError, r"`weight` .*\(2,\)"),
    (
        lambda: F.binary_cross_entropy_with_logits(P[:, :1], P[:, :1], tg.ones(3)),
        ValueError,
        r"`weight` .*\(3,\).*\(4, 1\)",
    ),
    (
        lambda: F.binary_cross_entropy_with_logits(P[:1], P[:1], pos_weight=tg.ones(4, 3)),
        ValueError,
        r"`pos_weight` .*\(4, 3\).*\(1, 3\)",
    ),
    (lambda: nn.CrossEntropyLoss(reduction="avg"), ValueError, "CrossEntropyLoss.*'avg'"),
    (lambda: nn.MSELoss()(X, X.numpy().tolist()), TypeError, "tg.tensor"),
    (lambda: F.one_hot(X), TypeError, "int64"),
    (lambda: F.one_hot(Y + 5, 3), ValueError, "label 5"),
]


@pytest.mark.parametrize("k", range(len(REFUSED)))
def test_refused(k):
    call, kind, message = REFUSED[k]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1), (1, 3), (4, 3)])
def test_weights_broadcast_to_the_input(shape):
    w = tg.full(shape, 2.0)
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        assert loss(P, P, w).item() == pytest.approx(2 * loss(P, P).item())
        assert loss(P, P, 2.0).item() == pytest.approx(2 * loss(P, P).item())
    ones = tg.ones(4, 3)
    twice = F.binary_cross_entropy_with_logits(P, ones, pos_weight=w).item()
    assert twice == pytest.approx(2 * F.binary_cross_entropy_with_logits(P, ones).item())


def test_sums_of_empty_batches_are_zero():
    assert F.cross_entropy(X[:0], Y[:0], reduction="sum").item() == 0
    assert F.cross_entropy(X[:0], Y[:0], reduction="none").shape == (0,)
    assert F.mse_loss(X[:0], X[:0], reduction="sum").item() == 0


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (nn.MSELoss, F.mse_loss),
        (nn.L1Loss, F.l1_loss),
        (nn.HuberLoss, F.huber_loss),
        (nn.BCELoss, F.binary_cross_entropy),
        (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits),
    ],
)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_modules_are_their_functions(module, function, reduction):
    x, y = tg.rand(5, 2), tg.rand(5, 2)
    np.testing.assert_array_equal(
        module(reduction=reduction)(x, y).numpy(), function(x, y, reduction=reduction).numpy()
    )


def test_weights_of_a_loss_are_buffers():
    loss = nn.CrossEntropyLoss(tg.ones(3)).double()
    assert loss.weight.dtype == np.float64
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []
    assert repr(loss) == "CrossEntropyLoss()"


def test_nothing_is_recorded_of_a_refused_loss():
    x = tg.zeros(2, 3, requires_grad=True)
    with pytest.raises(IndexError):
        F.cross_entropy(x, tg.tensor([0, 7]))
    assert x.grad is None
    assert x.storage.version == 0
