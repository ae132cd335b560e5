"""Layers: what they compute, in both modes, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn


def test_linear():
    layer = nn.Linear(3, 2)
    x = tg.randn(4, 3)
    wanted = x.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x).detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert layer(tg.ones(3)).shape == (2,)
    assert layer(tg.ones(5, 4, 3)).shape == (5, 4, 2)
    assert layer(tg.ones(0, 3)).shape == (0, 2)
    assert nn.Linear(3, 2, bias=False).bias is None
    assert nn.Linear(3, 2, dtype="float64").weight.dtype == np.float64


def test_linear_begins_like_pytorchs():
    tg.manual_seed(0)
    layer = nn.Linear(400, 300)
    for values in (layer.weight, layer.bias):
        array = values.detach().numpy()
        assert abs(array).max() <= 1 / 20
        assert abs(array).max() > 0.98 / 20
        assert array.std() == pytest.approx(1 / 20 / np.sqrt(3), rel=0.1)


LINEAR = nn.Linear(784, 10)
REFUSED = [
    (
        lambda: LINEAR(tg.ones(32, 100)),
        ValueError,
        r"Linear\(in_features=784.*\(32, 100\).*in_features, 784",
    ),
    (lambda: LINEAR(tg.ones(32, 28, 28)), ValueError, r"nn.Flatten\(\)"),
    (lambda: LINEAR(tg.ones(32, 784, dtype="float64")), TypeError, "float64.*model.to"),
    (lambda: LINEAR(tg.ones(32, 784).long()), TypeError, "int64"),
    (lambda: LINEAR(np.ones((32, 784))), TypeError, "tg.tensor"),
    (lambda: LINEAR(tg.tensor(1.0)), ValueError, "in_features"),
    (lambda: nn.Linear(-1, 3), ValueError, "in_features"),
    (lambda: nn.Linear(3, 2.5), TypeError, "out_features.*2.5"),
    (lambda: nn.BatchNorm1d(4)(tg.ones(8, 5)), ValueError, r"BatchNorm1d\(4.*\(8, 5\).*\(N, 4\)"),
    (lambda: nn.BatchNorm1d(4)(tg.ones(4)), ValueError, r"\(N, 4\)"),
    (lambda: nn.BatchNorm1d(4)(tg.ones(1, 4)), ValueError, r"\(1, 4\) has one value.*drop_last"),
    (lambda: nn.BatchNorm1d(4)(tg.ones(0, 4)), ValueError, r"\(0, 4\) has an empty batch"),
    (lambda: nn.BatchNorm1d(4)(tg.ones(8, 4).long()), TypeError, "int64"),
    (lambda: nn.BatchNorm1d(4)(tg.ones(8, 4).double()), TypeError, "float32 .*float64"),
    (lambda: nn.BatchNorm1d(4)([[1.0] * 4]), TypeError, "tg.tensor"),
    (lambda: nn.BatchNorm1d(0), ValueError, "num_features"),
    (lambda: F.batch_norm(tg.ones(8, 4)), ValueError, "running_mean and running_var"),
    (lambda: nn.LayerNorm(4)(tg.ones(8, 5)), ValueError, r"\(8, 5\) does not end in .*\(4,\)"),
    (lambda: nn.LayerNorm((2, 4))(tg.ones(4)), ValueError, "does not end"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout: `p`.*1.5"),
    (lambda: nn.Dropout("0.5"), TypeError, "'0.5'"),
    (lambda: nn.Dropout()(tg.ones(2).long()), TypeError, "input.float"),
    (lambda: nn.DropConnect(2, 2, p=-0.1), ValueError, "DropConnect"),
    (lambda: F.drop_connect(tg.ones(2, 2), tg.ones(2, 2), p=3), ValueError, "drop_connect"),
    (lambda: F.gelu(tg.ones(1), "erf"), ValueError, "'erf'"),
]


@pytest.mark.parametrize("k", range(len(REFUSED)))
def test_refused(k):
    call, kind, message = REFUSED[k]
    with pytest.raises(kind, match=message):
        call()


def test_a_refused_batch_changes_no_statistics():
    layer = nn.BatchNorm1d(4)
    with pytest.raises(ValueError, match="one value"):
        layer(tg.ones(1, 4))
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_mean.storage.version == 1  # written when it was made
    layer.eval()
    assert layer(tg.ones(1, 4)).shape == (1, 4)
    assert layer(tg.ones(0, 4)).shape == (0, 4)


def test_batch_norm_modes():
    x = tg.randn(64, 3) * 2 + 5
    layer = nn.BatchNorm1d(3, momentum=1.0)
    out = layer(x).detach().numpy()
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(0), 1, atol=1e-4)
    np.testing.assert_allclose(layer.running_mean.numpy(), x.numpy().mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), x.numpy().var(0, ddof=1), rtol=1e-5)
    layer.eval()
    evaluated = layer(x).detach().numpy()
    assert layer.num_batches_tracked.item() == 1
    np.testing.assert_allclose(evaluated, out * np.sqrt(63 / 64), atol=1e-4)
    layer.reset_running_stats()
    np.testing.assert_allclose(layer(x).detach().numpy(), x.numpy(), rtol=1e-4)


def test_batch_norm_without_running_statistics():
    layer = nn.BatchNorm1d(3, affine=False, track_running_stats=False).eval()
    assert list(layer.state_dict()) == []
    np.testing.assert_allclose(layer(tg.randn(50, 3)).numpy().mean(0), 0, atol=1e-6)


def test_batch_norm_of_sequences():
    layer = nn.BatchNorm1d(3)
    x = tg.randn(5, 3, 7)
    flat = nn.BatchNorm1d(3)
    wanted = flat(x.permute(0, 2, 1).reshape(35, 3)).reshape(5, 7, 3).permute(0, 2, 1)
    np.testing.assert_array_equal(layer(x).detach().numpy(), wanted.detach().numpy())
    np.testing.assert_array_equal(layer.running_var.numpy(), flat.running_var.numpy())
    assert layer.eval()(x).shape == (5, 3, 7)


def test_layer_norm():
    layer = nn.LayerNorm((2, 3), dtype="float64")
    out = layer(tg.randn(4, 2, 3, dtype="float64")).detach().numpy()
    np.testing.assert_allclose(out.mean((1, 2)), 0, atol=1e-12)
    assert layer.weight.shape == (2, 3)
    assert nn.LayerNorm(3, bias=False).bias is None
    assert list(nn.LayerNorm(3, elementwise_affine=False).parameters()) == []
    assert layer(tg.ones(0, 2, 3, dtype="float64")).shape == (0, 2, 3)


def test_dropout_keeps_the_expectation():
    tg.manual_seed(0)
    x = tg.ones(400, 500, requires_grad=True)
    out = nn.Dropout(0.3)(x)
    out.sum().backward()
    values = out.detach().numpy()
    assert (values == 0).mean() == pytest.approx(0.3, abs=0.005)
    assert values.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(values[values > 0], 1 / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(x.grad.numpy(), values)


def test_dropout_at_its_ends():
    x = tg.randn(5)
    assert nn.Dropout(0.0)(x) is x
    assert nn.Dropout(1.0)(x).tolist() == [0] * 5
    assert nn.Dropout(0.5).eval()(x) is x
    state = tg.get_rng_state().tolist()
    nn.Dropout(0.0)(x), nn.Dropout(0.5).eval()(x)
    assert tg.get_rng_state().tolist() == state


def test_masks_follow_the_seed():
    layer, x = nn.Dropout(), tg.ones(100)
    tg.manual_seed(1)
    first, second = layer(x).tolist(), layer(x).tolist()
    tg.manual_seed(1)
    assert layer(x).tolist() == first
    assert first != second


def test_drop_connect_masks_weights_and_keeps_the_expectation():
    tg.manual_seed(0)
    layer = nn.DropConnect(30, 4, p=0.5)
    x = tg.randn(3, 30)
    exact = F.linear(x, layer.weight, layer.bias).detach().numpy()
    drawn = np.stack([layer(x).detach().numpy() for _ in range(4000)])
    assert drawn.std(0).min() > 0.05
    np.testing.assert_allclose(drawn.mean(0), exact, atol=6 * drawn.std(0).max() / np.sqrt(4000))
    np.testing.assert_array_equal(layer.eval()(x).detach().numpy(), exact)
    assert isinstance(layer, nn.Linear)
    nn.Linear(30, 4).load_state_dict(layer.state_dict())
    assert repr(layer) == "DropConnect(in_features=30, out_features=4, bias=True, p=0.5)"


def test_drop_connect_gives_dropped_weights_no_gradient():
    layer = nn.DropConnect(6, 5, p=0.5)
    layer(tg.ones(1, 6)).sum().backward()
    gradient = layer.weight.grad.numpy()
    assert set(np.unique(gradient)) == {0.0, 2.0}
    assert layer.bias.grad.tolist() == [1] * 5


@pytest.mark.parametrize("missing", ["running_mean", "running_var"])
def test_batch_norm_with_half_of_its_statistics_has_no_way_to_predict(missing):
    layer = nn.BatchNorm1d(2).eval()
    setattr(layer, missing, None)
    with pytest.raises(ValueError, match="without training it needs running_mean and running_var"):
        layer(tg.ones(3, 2))


@pytest.mark.parametrize("lead", [(), (5,), (4, 5), (3, 4, 5), (2, 3, 4, 5)])
def test_linear_takes_any_axes_before_the_last(lead):
    layer = nn.Linear(3, 2, dtype=tg.float64)
    x = np.random.default_rng(0).normal(size=(*lead, 3))
    y = layer(tg.tensor(x))
    wanted = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    assert y.shape == (*lead, 2)
    np.testing.assert_allclose(y.detach().numpy(), wanted, 1e-12)
    y.sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy()[0], x.reshape(-1, 3).sum(0), 1e-12)


def test_flatten_and_identity():
    assert nn.Flatten()(tg.ones(2, 3, 4)).shape == (2, 12)
    assert nn.Flatten(0, 1)(tg.ones(2, 3, 4)).shape == (6, 4)
    x = tg.ones(2)
    assert nn.Identity()(x) is x


ACTIVATIONS = {
    nn.ReLU(): lambda x: np.maximum(x, 0),
    nn.LeakyReLU(0.2): lambda x: np.where(x > 0, x, 0.2 * x),
    nn.ELU(1.5): lambda x: np.where(x > 0, x, 1.5 * np.expm1(x)),
    nn.SiLU(): lambda x: x / (1 + np.exp(-x)),
    nn.Sigmoid(): lambda x: 1 / (1 + np.exp(-x)),
    nn.Tanh(): np.tanh,
    nn.Softplus(2.0): lambda x: np.log1p(np.exp(2 * x)) / 2,
    nn.Softmax(dim=1): lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    nn.LogSoftmax(dim=0): lambda x: x - np.log(np.exp(x).sum(0, keepdims=True)),
}


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_activations(layer):
    x = tg.randn(5, 4, dtype="float64")
    np.testing.assert_allclose(layer(x).numpy(), ACTIVATIONS[layer](x.numpy()), rtol=1e-12)


@pytest.mark.parametrize(
    "layer", [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.Dropout], ids=lambda layer: layer.__name__
)
def test_in_place_layers(layer):
    start = tg.randn(6, dtype="float64").requires_grad_()
    tg.manual_seed(2)
    wanted = layer()(start * 1)
    wanted.sum().backward()
    gradient, start.grad = start.grad, None
    tg.manual_seed(2)
    x = start * 1
    out = layer(inplace=True)(x)
    assert out is x
    assert out.tolist() == wanted.tolist()
    out.sum().backward()
    np.testing.assert_allclose(start.grad.numpy(), gradient.numpy(), rtol=1e-12)
    assert "inplace=True" in repr(layer(inplace=True))


def test_softmax_without_an_axis_warns():
    with pytest.warns(UserWarning, match="dim=1"):
        assert nn.Softmax()(tg.zeros(2, 4)).tolist() == [[0.25] * 4] * 2


def test_options_are_read_when_called():
    layer = nn.LeakyReLU(0.1)
    layer.negative_slope = 0.5
    assert layer(tg.tensor([-2.0])).tolist() == [-1.0]
    assert repr(layer) == "LeakyReLU(negative_slope=0.5)"
