"""`Monitor`: figures worked out by hand, training undisturbed, and the warnings."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import spiral
from tinygrad_mlp.study import Monitor


def test_the_figures_of_a_small_network_by_hand():
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    with tg.no_grad():
        model[0].weight.copy_(tg.tensor([[1.0], [-1.0]]))
        model[0].bias.copy_(tg.tensor([0.0, 0.0]))
        model[2].weight.copy_(tg.tensor([[2.0, 3.0]]))
        model[2].bias.copy_(tg.tensor([0.0]))
    monitor = Monitor(([[1.0], [3.0]], [[0.0], [0.0]]), bins=2, warn=False)
    record = monitor.record(model, optim.SGD(model.parameters(), lr=0.1))
    # hidden (1, 0), (3, 0); outputs 2, 6; loss (4 + 36) / 2; dL/dout 2, 6
    assert (record["epoch"], record["loss"]) == (0, 20.0)
    first, relu, last = record["layers"]
    assert [layer["name"] for layer in record["layers"]] == ["0", "1", "2"]
    assert (relu["dead"], relu["saturated"], first["dead"]) == (0.5, None, None)
    assert relu["activation"]["mean"] == 1.0
    assert relu["activation"]["norm"] == pytest.approx(10**0.5)
    assert relu["activation"]["histogram"] == {"edges": [0.0, 1.5, 3.0], "counts": [3, 1]}
    assert (last["gradient"]["mean"], last["gradient"]["std"]) == (4.0, 2.0)
    assert relu["gradient"]["max"] == 18.0  # 6 * 3
    assert (first["gradient"]["min"], first["gradient"]["max"]) == (0.0, 12.0)
    # dL/dW2 = (2*1 + 6*3, 0), dL/db2 = 8, dL/dW1 = 4*1 + 12*3, dL/db1 = 16
    gradients = [p["gradient"]["norm"] for p in record["parameters"]]
    assert gradients == [40.0, 16.0, 20.0, 8.0]
    assert record["gradient_norm"] == pytest.approx((1600 + 256 + 400 + 64) ** 0.5)
    ratios = [p["update_ratio"] for p in record["parameters"]]
    assert ratios[0] == pytest.approx(0.1 * 40 / 2**0.5)
    assert ratios[2] == pytest.approx(0.1 * 20 / 13**0.5)
    assert ratios[1] is None  # a bias of 0


@pytest.mark.parametrize("make", [optim.Adam, lambda p, lr: optim.SGD(p, lr, momentum=0.9)])
def test_training_has_the_same_bits_with_and_without(make):
    def train(callbacks):
        tg.manual_seed(1)
        layers = nn.Linear(2, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 3)
        model = nn.Sequential(*layers)
        optimizer = make(model.parameters(), lr=0.01)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # fit warns if it cannot compile
            history = tg.fit(
                model,
                optimizer,
                spiral(),
                epochs=4,
                batch_size=64,
                callbacks=callbacks,
                progress=False,
            )
        state = [value.tolist() for value in model.state_dict().values()]
        return state, history["loss"], tg.get_rng_state().tolist()

    monitor = Monitor(spiral(seed=1), warn=False)
    plain, watched = train([]), train([monitor])
    assert plain == watched
    assert monitor.epochs == [0, 1, 2, 3, 4]


def test_a_model_is_left_as_it_is():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Dropout())
    model[1].eval()
    calls = []
    model[0].register_forward_hook(lambda *args: calls.append(args))
    optimizer = optim.Adam(model.parameters())
    before = [value.tolist() for value in model.state_dict().values()]
    with tg.no_grad():
        record = Monitor(spiral(), loss=lambda out, y: out.square().mean()).record(model, optimizer)
    assert record["layers"][0]["gradient"] is not None
    assert [value.tolist() for value in model.state_dict().values()] == before
    assert [module.training for module in model] == [True, False, True, True]
    assert (calls, optimizer.state_dict()["state"]) == ([], {})
    assert all(p.grad is None for p in model.parameters())


def test_a_compiled_step_by_hand_is_captured_once():
    tg.manual_seed(0)
    model, data = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)), spiral()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = tg.tensor(data.x), tg.tensor(data.y)

    @tg.compile
    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    monitor = Monitor(data)
    losses = []
    for _ in range(3):
        losses.append(step().item())
        monitor.record(model, optimizer)
    assert step.captures == 1
    assert monitor.epochs == [0, 1, 2]
    assert monitor.records[0]["loss"] > monitor.records[2]["loss"]


def test_frozen_layers_have_no_gradient():
    model = nn.Sequential(nn.Linear(2, 4).requires_grad_(False), nn.ReLU(), nn.Linear(4, 3))
    optimizer = optim.SGD(model[2].parameters(), lr=0.1)
    record = Monitor(spiral()).record(model, optimizer)
    assert [layer["gradient"] is None for layer in record["layers"]] == [True, True, False]
    assert [p["update_ratio"] is None for p in record["parameters"]] == [True, True, False, False]
    assert [p["gradient"] is None for p in record["parameters"]] == [True, True, False, False]


def deep(activation, std, depth=12):
    tg.manual_seed(0)
    hidden = {"input_dim": 64, "output_dim": 64, "activation": activation, "init": std}
    return nn.from_config(
        [hidden | {"input_dim": 2}, *[hidden] * depth, hidden | {"output_dim": 3}]
    )


KINDS = [
    ("vanishing", lambda: deep("tanh", 0.01), "0", "kaiming_normal_"),
    ("exploding", lambda: deep("relu", 1.0), "0", "clip"),
    ("saturated", lambda: deep("tanh", 3.0, depth=2), "3", "xavier_normal_"),
    ("dead", lambda: dying(), "1", "lower the learning rate"),
]


def dying():
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    with tg.no_grad():
        model[0].bias.copy_(tg.tensor([-100.0] * 5 + [100.0] * 3))
    return model


@pytest.mark.parametrize(("kind", "make", "layer", "cure"), KINDS, ids=[each[0] for each in KINDS])
def test_trouble_is_named_once_with_a_cure(kind, make, layer, cure):
    model, monitor = make(), Monitor(spiral())
    with pytest.warns(UserWarning, match=cure) as caught:
        monitor.record(model)
    found = [each for each in monitor.warned if (each["layer"], each["kind"]) == (layer, kind)]
    assert len(found) == 1
    assert cure in found[0]["message"]
    assert len(caught) == len(monitor.warned)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.record(model)  # nothing new


def test_the_units_of_an_ensemble_are_counted_for_each_member():
    alive = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.9), nn.Linear(8, 3))
    with tg.no_grad():
        alive[0].bias.copy_(tg.tensor([100.0] * 8))
    dead = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.9), nn.Linear(8, 3))
    with tg.no_grad():
        dead[0].bias.copy_(tg.tensor([-100.0] * 8))
    monitor = Monitor(spiral(), loss=nn.EnsembleLoss(), warn=False)
    ensemble = nn.Ensemble([alive, dead])
    state = ensemble.rng.tolist()
    _, relu, dropout, _ = monitor.record(ensemble)["layers"]
    assert relu["dead"] == 0.5
    assert dropout["activation"] == relu["activation"]  # the probe drops nothing
    assert ensemble.rng.tolist() == state


def test_a_large_update_is_named():
    model = nn.Linear(2, 3)
    with pytest.warns(UserWarning, match=r"an update changes 'weight' by .*lower the learning"):
        Monitor(spiral()).record(model, optim.SGD(model.parameters(), lr=100.0))


def test_a_healthy_network_has_no_warnings():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3))
    monitor = Monitor(spiral())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    tg.fit(model, optimizer, spiral(), epochs=3, callbacks=[monitor], progress=False)
    assert monitor.warned == []


def test_json_has_no_inf_or_nan(tmp_path):
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    with tg.no_grad():
        model[2].weight.copy_(tg.tensor(np.full((3, 4), np.inf, np.float32)))
    monitor = Monitor(spiral())
    with pytest.warns(UserWarning, match="the loss is nan"):
        monitor.record(model)
    monitor.save(tmp_path / "monitor.json")
    saved = json.loads((tmp_path / "monitor.json").read_text())
    assert saved["records"][0]["loss"] is None
    assert saved["warned"][0]["kind"] == "not_finite"
    assert saved["records"][0]["layers"][0]["activation"]["mean"] is not None


def test_what_does_not_exist_is_named():
    monitor = Monitor(spiral())
    monitor.record(nn.Sequential(nn.Linear(2, 3)))
    with pytest.raises(KeyError, match=r"no '1'; it has 0, 0.weight, 0.bias"):
        monitor.series("1", "dead")
    with pytest.raises(KeyError, match="no 'died'; it has name, type, activation"):
        monitor.series("0", "died")
    with pytest.raises(ValueError, match="every"):
        Monitor(spiral(), every=0)
    with pytest.raises(TypeError, match="probe must be a pair"):
        Monitor(3).record(nn.Linear(2, 3))
