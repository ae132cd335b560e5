"""Gradient clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn
from tinygrad_mlp.autograd.modes import record


def with_gradients(*gradients, dtype="float32"):
    result = []
    for gradient in gradients:
        array = np.asarray(gradient, dtype)
        result.append(tg.tensor(np.zeros_like(array), requires_grad=True))
        result[-1].grad = tg.tensor(array)
    return result


@pytest.mark.parametrize(
    ("order", "norm"), [(2, 13.0), (1, 19.0), (math.inf, 12.0), (3, (27 + 64 + 1728) ** (1 / 3))]
)
def test_the_norm_is_of_all_gradients_together(order, norm):
    ps = with_gradients([3.0, -4.0], [[12.0]], dtype="float64")
    ps.append(tg.tensor([1.0], requires_grad=True))  # has no gradient
    found = nn.utils.clip_grad_norm_(ps, 1.0, order)
    assert found.shape == ()
    assert found.item() == pytest.approx(norm, rel=1e-14)
    scale = 1 / (norm + 1e-6)
    np.testing.assert_allclose(ps[0].grad.numpy(), [3 * scale, -4 * scale], 1e-14)
    np.testing.assert_allclose(ps[1].grad.numpy(), [[12 * scale]], 1e-14)


def test_small_gradients_are_left_as_they_are():
    (x,) = with_gradients([0.3, 0.4])
    before = x.grad.numpy().copy()
    assert nn.utils.clip_grad_norm_(x, 0.6).item() == pytest.approx(0.5)
    assert (x.grad.numpy() == before).all()


def test_nothing_to_clip():
    x = tg.tensor([1.0], requires_grad=True)
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == 0
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    assert nn.utils.clip_grad_norm_(with_gradients(np.zeros((0, 2))), 1.0, math.inf).item() == 0
    nn.utils.clip_grad_value_([x], 1.0)
    assert x.grad is None


def test_float32_and_float64_together():
    x, y = with_gradients([3.0])[0], with_gradients([4.0], dtype="float64")[0]
    assert nn.utils.clip_grad_norm_((p for p in (x, y)), 1.0).item() == pytest.approx(5)
    assert (x.grad.dtype, y.grad.dtype) == ("float32", "float64")
    assert x.grad.item() == pytest.approx(0.6, rel=1e-6)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_norms_that_are_no_numbers(wrong):
    (x,) = with_gradients([1.0, wrong])
    with pytest.raises(RuntimeError, match=r"total norm of the gradients is (nan|inf)"):
        nn.utils.clip_grad_norm_([x], 1.0, error_if_nonfinite=True)
    np.testing.assert_equal(x.grad.numpy(), np.float32([1, wrong]))
    found = nn.utils.clip_grad_norm_([x], 1.0)
    assert not math.isfinite(found.item())
    np.testing.assert_equal(x.grad.numpy(), np.float32([0 if wrong == math.inf else wrong, np.nan]))


def test_values():
    x, y = with_gradients([3.0, -0.25, -7.0, np.nan], 0.5)
    nn.utils.clip_grad_value_([x, y], 0.3)
    np.testing.assert_equal(x.grad.numpy(), np.float32([0.3, -0.25, -0.3, np.nan]))
    assert y.grad.item() == np.float32(0.3)


def test_the_same_results_recorded_or_not():
    found = []
    for recorded in (False, True):
        ps = with_gradients(np.linspace(-3, 4, 1000), [[2.0, 5.0]])
        if recorded:
            with record() as entries:
                norm = nn.utils.clip_grad_norm_(ps, 1.5)
            assert {id(p.grad) for p in ps} == {
                id(e.inputs[k]) for e in entries for k in e.op.mutates
            }
        else:
            norm = nn.utils.clip_grad_norm_(ps, 1.5)
        found.append((norm.item(), [p.grad.tolist() for p in ps]))
    assert found[0] == found[1]


def test_taped_gradients():
    x = tg.tensor([3.0, 4.0], requires_grad=True)
    (x * x / 2).sum().backward(create_graph=True)
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == 5
    np.testing.assert_allclose(x.grad.detach().numpy(), [0.6, 0.8], 1e-6)
    before = x.grad.grad_fn
    nn.utils.clip_grad_value_([x], 0.7)
    np.testing.assert_allclose(x.grad.detach().numpy(), [0.6, 0.7], 1e-6)
    assert x.grad.grad_fn is before, "clipping is not recorded"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nn.utils.clip_grad_norm_([x], -1), ValueError, "`max_norm` must be 0 or"),
        (lambda x: nn.utils.clip_grad_norm_([x], math.nan), ValueError, "`max_norm` must be 0 or"),
        (lambda x: nn.utils.clip_grad_norm_([x], 1, 0), ValueError, "`norm_type` must be above 0"),
        (lambda x: nn.utils.clip_grad_value_([x], -1), ValueError, "`clip_value` must be 0 or"),
        (lambda x: nn.utils.clip_grad_value_([1.0], 1), TypeError, "takes tensors, not float"),
    ],
)
def test_wrong_input(call, error, message):
    (x,) = with_gradients([3.0])
    with pytest.raises(error, match=message):
        call(x)
    assert x.grad.item() == 3


def test_the_norm_and_the_scaling_apart():
    x, y = with_gradients([3.0], [4.0])
    norm = nn.utils.get_total_norm([x.grad, y.grad])
    assert norm.item() == nn.utils.get_total_norm(tg.tensor([3.0, 4.0])).item() == 5
    assert nn.utils.get_total_norm([]).item() == 0
    nn.utils.clip_grads_with_norm_([x, y], 2.5, norm)
    np.testing.assert_allclose([x.grad.item(), y.grad.item()], [1.5, 2.0], 1e-6)
    with pytest.raises(TypeError, match="get_total_norm: takes tensors, not ndarray"):
        nn.utils.get_total_norm([np.ones(2)])
