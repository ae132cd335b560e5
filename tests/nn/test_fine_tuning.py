"""Fine-tuning: weights by name into a larger network, frozen layers, a learning rate per group."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import spiral


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.old = nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

    def forward(self, x):
        return self.old(self.norm(self.hidden(x)).relu())


class Large(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm = nn.Linear(2, 16), nn.BatchNorm1d(16)
        self.extra, self.out = nn.Linear(16, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.extra(self.norm(self.hidden(x)).relu()).relu())


def large():
    tg.manual_seed(1)
    small, model = Small(), Large()
    with tg.no_grad():
        small.norm.running_mean.copy_(tg.randn(16))
    keys = model.load_state_dict(small.state_dict(), strict=False)
    return small, model, keys


def test_keys_that_do_not_match_are_reported():
    small, model, keys = large()
    assert keys.missing_keys == ["extra.weight", "extra.bias", "out.weight", "out.bias"]
    assert keys.unexpected_keys == ["old.weight", "old.bias"]
    missing, unexpected = keys
    assert (missing, unexpected) == (keys.missing_keys, keys.unexpected_keys)
    for key in ("hidden.weight", "hidden.bias", "norm.running_mean"):
        assert model.state_dict()[key].tolist() == small.state_dict()[key].tolist()
    with pytest.raises(RuntimeError, match=r"missing: extra.weight.*(?s:.*)unexpected: old.weight"):
        model.load_state_dict(small.state_dict())


def groups(model):
    return [
        {"params": model.extra.parameters(), "lr": 0.5},
        {"params": [*model.out.parameters(), *model.norm.parameters()]},
        {"params": model.hidden.parameters(), "lr": 0.0},
    ]


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
def test_frozen_layers_stay_and_groups_have_their_rates(make, compile):
    _, model, _ = large()
    model.hidden.requires_grad_(False)
    optimizer = make(groups(model), lr=0.05)
    before = {key: value.tolist() for key, value in model.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = dict(epochs=3, batch_size=50, progress=False, compile=compile)
        tg.fit(model, optimizer, spiral(), **options)
    changed = {k for k, value in model.state_dict().items() if value.tolist() != before[k]}
    assert before.keys() - changed == {"hidden.weight", "hidden.bias"}
    assert model.hidden.weight.grad is None


def test_compiled_equals_eager_when_a_layer_is_unfrozen():
    def run(compile):
        _, model, _ = large()
        model.hidden.requires_grad_(False)
        optimizer = optim.SGD(groups(model), lr=0.05, momentum=0.9, weight_decay=1e-3)
        for group, lr in zip(optimizer.param_groups, (0.5, 0.05, 0.2), strict=True):
            group["lr"] = lr
        history = None
        for epochs in (2, 4):
            options = dict(epochs=epochs, batch_size=50, progress=False, compile=compile)
            history = tg.fit(model, optimizer, spiral(), history=history, **options)
            model.hidden.requires_grad_(True)
            optimizer.param_groups[0]["lr"] = 0.01
        return {key: value.tolist() for key, value in model.state_dict().items()}

    assert run(True) == run(False)


def test_a_step_of_ones_own_sees_what_is_unfrozen():
    _, model, _ = large()
    model.hidden.requires_grad_(False)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    data = spiral()
    x, y = tg.tensor(data.x), tg.tensor(data.y)

    @tg.compile
    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def hidden():
        return model.hidden.weight.detach().numpy().copy()

    start = hidden()
    step(), step()
    np.testing.assert_array_equal(hidden(), start)
    model.hidden.requires_grad_(True)
    step()
    assert (hidden() != start).any()


@pytest.mark.parity
def test_fine_tuning_is_pytorchs():
    import torch

    _, model, _ = large()
    twin = torch.nn.ModuleDict(
        dict(
            hidden=torch.nn.Linear(2, 16),
            norm=torch.nn.BatchNorm1d(16),
            extra=torch.nn.Linear(16, 8),
            out=torch.nn.Linear(8, 3),
        )
    )
    state = {k: torch.tensor(v.numpy().copy()) for k, v in model.state_dict().items()}
    keys = twin.load_state_dict({**state, "more": torch.ones(1)}, strict=False)
    ours = model.load_state_dict({**model.state_dict(), "more": tg.ones(1)}, strict=False)
    assert tuple(ours) == tuple(keys)
    assert ours._fields == keys._fields
    model.hidden.requires_grad_(False)
    twin.hidden.requires_grad_(False)
    optimizer = optim.SGD(groups(model), lr=0.05, momentum=0.9)
    other = torch.optim.SGD(groups(twin), lr=0.05, momentum=0.9)
    data = spiral()

    @tg.compile
    def step(x, y):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    for _ in range(10):
        step(tg.tensor(data.x), tg.tensor(data.y))
        other.zero_grad()
        hidden = twin.norm(twin.hidden(torch.tensor(data.x))).relu()
        out = twin.out(twin.extra(hidden).relu())
        torch.nn.functional.cross_entropy(out, torch.tensor(data.y)).backward()
        other.step()
    for key, value in twin.state_dict().items():
        found = model.state_dict()[key].numpy()
        np.testing.assert_allclose(found, value.numpy(), rtol=1e-3, atol=1e-5, err_msg=key)
