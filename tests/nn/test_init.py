"""First values: their distribution, their seed, their bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn
from tinygrad_mlp.nn import init

SHAPE = (300, 200)  # out, in
RELU = math.sqrt(2)

DRAWN = {  # name -> call, standard deviation, largest absolute value
    "uniform": (lambda t: init.uniform_(t, -2, 2), 4 / math.sqrt(12), 2),
    "normal": (lambda t: init.normal_(t, std=0.5), 0.5, None),
    "xavier_uniform": (init.xavier_uniform_, math.sqrt(2 / 500), math.sqrt(6 / 500)),
    "xavier_normal": (lambda t: init.xavier_normal_(t, 2.0), 2 * math.sqrt(2 / 500), None),
    "kaiming_uniform": (
        lambda t: init.kaiming_uniform_(t, nonlinearity="relu"),
        RELU / math.sqrt(200),
        RELU * math.sqrt(3 / 200),
    ),
    "kaiming_normal": (lambda t: init.kaiming_normal_(t, mode="fan_out"), math.sqrt(2 / 300), None),
    "lecun_uniform": (init.lecun_uniform_, math.sqrt(1 / 200), math.sqrt(3 / 200)),
    "lecun_normal": (init.lecun_normal_, math.sqrt(1 / 200), None),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distribution(name, dtype):
    call, std, bound = DRAWN[name]
    tg.manual_seed(3)
    weight = nn.Parameter(tg.zeros(SHAPE, dtype=dtype))
    assert call(weight) is weight
    assert weight.requires_grad
    assert weight.grad_fn is None
    values = weight.detach().numpy()
    assert values.dtype == dtype
    assert values.std() == pytest.approx(std, rel=0.02)
    assert abs(values.mean()) < 0.02 * std
    if bound is not None:
        assert 0.99 * bound < abs(values).max() <= bound * (1 + 1e-6)
    else:  # normal: about 0.27 % lie beyond three standard deviations
        assert (abs(values) > 3 * std).mean() == pytest.approx(0.0027, abs=0.001)


@pytest.mark.parametrize("name", DRAWN)
def test_the_seed_decides(name):
    call = DRAWN[name][0]

    def drawn(seed):
        tg.manual_seed(seed)
        return call(tg.zeros(5, 4)).tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_constants():
    assert init.constant_(tg.zeros(2), 3.5).tolist() == [3.5, 3.5]
    assert init.ones_(tg.zeros(2)).tolist() == [1, 1]
    assert init.zeros_(tg.ones(2)).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape):
    weight = init.orthogonal_(tg.zeros(shape, dtype="float64"), gain=2.0).numpy()
    flat = weight.reshape(shape[0], -1)
    product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(product, 4 * np.eye(min(flat.shape)), atol=1e-12)


def test_gains():
    assert init.calculate_gain("linear") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("relu") == RELU
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 0.5) == math.sqrt(2 / 1.25)


def test_errors():
    with pytest.raises(ValueError, match=r"two axes.*\(3,\)"):
        init.xavier_normal_(tg.zeros(3))
    with pytest.raises(ValueError, match="'fan_avg'"):
        init.kaiming_normal_(tg.zeros(3, 3), mode="fan_avg")
    with pytest.raises(ValueError, match="'swish'"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="slope"):
        init.calculate_gain("leaky_relu", "0.1")
