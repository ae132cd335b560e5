"""`from_config`: the modules of each entry, and errors that name the entry."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn
from tinygrad_mlp.nn.config import ACTIVATIONS, INITIALISERS


def test_each_entry_is_a_layer_with_its_parts_in_order():
    model = nn.from_config(
        [
            {
                "input_dim": 4,
                "output_dim": 8,
                "activation": "relu",
                "batch_norm": True,
                "dropout": 0.25,
            },
            {"input_dim": 8, "output_dim": 5, "activation": "tanh", "batch_norm": "after"},
            {"input_dim": 5, "output_dim": 3, "bias": False, "activation": None},
        ]
    )
    assert [type(layer).__name__ for layer in model] == [
        *("Linear", "BatchNorm1d", "ReLU", "Dropout"),
        *("Linear", "Tanh", "BatchNorm1d", "Linear"),
    ]
    assert model[3].p == 0.25
    assert model[7].bias is None
    assert model(tg.randn(6, 4)).shape == (6, 3)


def test_the_weights_are_those_of_layers_made_by_hand():
    tg.manual_seed(3)
    made = nn.from_config([{"input_dim": 2, "output_dim": 5}, {"input_dim": 5, "output_dim": 1}])
    tg.manual_seed(3)
    by_hand = nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 1))
    for one, other in zip(made.parameters(), by_hand.parameters(), strict=True):
        assert one.tolist() == other.tolist()


def test_an_error_in_the_last_entry_draws_nothing():
    state = tg.get_rng_state().tolist()
    with pytest.raises(ValueError, match=r"config\[1\]"):
        nn.from_config([{"input_dim": 2, "output_dim": 5}, {"input_dim": 4, "output_dim": 1}])
    assert tg.get_rng_state().tolist() == state


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_takes_rows(name):
    model = nn.from_config([{"input_dim": 3, "output_dim": 2, "activation": name}])
    assert model(tg.randn(4, 3)).shape == (4, 2)


DEVIATIONS = {
    "xavier": (2 / 900) ** 0.5,
    "lecun": 1 / 400**0.5,
    "kaiming": (2 / 400) ** 0.5,
    0.01: 0.01,
}


@pytest.mark.parametrize("init", [*INITIALISERS, 0.01])
def test_the_initialiser_draws_weights_and_the_bias_is_zero(init):
    tg.manual_seed(1)
    entry = {"input_dim": 400, "output_dim": 500, "activation": "relu", "init": init}
    linear = nn.from_config([entry])[0]
    wanted = DEVIATIONS[init.split("_")[0] if isinstance(init, str) else init]
    assert linear.weight.detach().numpy().std() == pytest.approx(wanted, rel=0.01)
    assert not linear.bias.detach().numpy().any()


GOOD = {"input_dim": 2, "output_dim": 3}
REFUSED = [
    ([], TypeError, "must be a list of dictionaries"),
    (GOOD, TypeError, "must be a list of dictionaries"),
    ([GOOD, 3], TypeError, r"config\[1\] must be a dictionary, got 3"),
    ([{"input_dim": 2}], ValueError, r"config\[0\]: 'output_dim' is missing"),
    ([GOOD | {"units": 3}], ValueError, r"config\[0\]: no key is called 'units'.*input_dim"),
    ([GOOD | {"activation": "rel"}], ValueError, r"config\[0\]: .*'rel'.*tanh.*mean 'relu'"),
    ([GOOD, GOOD], ValueError, r"config\[1\] has input_dim 2, but config\[0\] has output_dim 3"),
    ([{"input_dim": 2, "output_dim": 2.0}], TypeError, r"config\[0\]: `output_dim`.*2.0"),
    ([{"input_dim": 0, "output_dim": 2}], ValueError, r"config\[0\]: `input_dim`.*1 or more"),
    ([GOOD | {"dropout": 1.5}], ValueError, r"config\[0\]: `dropout`.*1.5"),
    ([GOOD | {"bias": 1}], TypeError, r"config\[0\]: `bias`"),
    ([GOOD | {"batch_norm": "middle"}], ValueError, r"config\[0\]: `batch_norm`.*middle"),
    ([GOOD | {"init": "xavier"}], ValueError, r"config\[0\]: .*'xavier'.*xavier_normal"),
    ([GOOD | {"init": -1.0}], ValueError, r"config\[0\]: `init`.*-1.0"),
    ([GOOD | {"init": float("inf")}], ValueError, r"config\[0\]: `init`.*inf"),
    ([GOOD | {"init": True}], TypeError, r"config\[0\]: `init`"),
]


@pytest.mark.parametrize(("config", "error", "message"), REFUSED)
def test_what_is_wrong_is_named_with_its_entry(config, error, message):
    with pytest.raises(error, match=message):
        nn.from_config(config)


def test_prelu_learns_its_slopes():
    layer = nn.PReLU(2)
    x = tg.tensor([[-2.0, 3.0], [4.0, -1.0]], requires_grad=True)
    layer(x).backward(tg.tensor([[1.0, 1.0], [1.0, 2.0]]))
    assert layer.weight.grad.tolist() == [-2.0, -2.0]  # sums of g x where x is not positive
    assert x.grad.tolist() == [[0.25, 1.0], [1.0, 0.5]]
    with pytest.raises(ValueError, match=r"prelu: `weight`.*\(3,\).*\(1,\) or \(2,\)"):
        F.prelu(x, tg.ones(3))


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(4,), (3, 5), (3, 5, 2)])
def test_prelu_is_pytorchs(shape):
    import torch

    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    array.flat[0] = 0
    slopes = np.full(shape[1] if len(shape) > 1 else 1, 0.3, np.float32)
    x, w = tg.tensor(array, requires_grad=True), tg.tensor(slopes, requires_grad=True)
    F.prelu(x, w).sum().backward()
    tx, tw = torch.tensor(array, requires_grad=True), torch.tensor(slopes, requires_grad=True)
    torch.nn.functional.prelu(tx, tw).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), tx.grad.numpy())
    np.testing.assert_allclose(w.grad.numpy(), tw.grad.numpy(), rtol=1e-5)
