"""Every array that a training step changes is named, as mutated, in the record of the step."""

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.autograd.modes import record
from tinygrad_mlp.autograd.values import as_array
from tinygrad_mlp.ops import random

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "adadelta": lambda p: optim.Adadelta(p),
    "rmsprop": lambda p: optim.RMSprop(p, momentum=0.5, centered=True),
    "adam": lambda p: optim.Adam(p, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p),
}


def network():
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.DropConnect(8, 8),
        nn.LayerNorm(8),
        nn.Linear(8, 3),
    )


def everything(model, optimizer):
    """All tensors that outlive a step, by name: what a step may change."""
    found = {f"state_dict.{k}": v for k, v in model.state_dict(keep_vars=True).items()}
    found |= {f"grad.{k}": p.grad for k, p in model.named_parameters() if p.grad is not None}
    for k, (_, state) in enumerate(optimizer.state.items()):
        found |= {f"optimizer.{k}.{n}": v for n, v in state.items() if isinstance(v, tg.Tensor)}
    return found | {"rng": random.state()}


def mutated_arrays(entries):
    """The arrays that the record says were written to."""
    return {
        value.storage.array.__array_interface__["data"][0]
        for entry in entries
        for value in (entry.inputs[k] for k in entry.op.mutates)
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_record_names_every_array_that_changed(name):
    tg.manual_seed(3)
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    x, y = tg.randn(16, 6), tg.randint(0, 3, (16,))

    def step(zero=True):
        optimizer.zero_grad(set_to_none=False)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    step()  # state and gradients exist from here on
    watched = everything(model, optimizer)
    before = {key: as_array(value).copy() for key, value in watched.items()}
    versions = {key: value.storage.version for key, value in watched.items()}
    with record() as entries:
        step()
    changed = {k for k, v in watched.items() if not np.array_equal(as_array(v), before[k])}
    assert {"state_dict.0.weight", "state_dict.1.running_mean", "grad.0.weight", "rng"} <= changed
    assert {key for key in changed if key.startswith("optimizer.")}
    named = mutated_arrays(entries)
    address = {k: v.storage.array.__array_interface__["data"][0] for k, v in watched.items()}
    assert {key for key in changed if address[key] not in named} == set()
    assert {key for key in changed if watched[key].storage.version == versions[key]} == set()


def test_the_check_notices_a_write_behind_the_tapes_back():
    x = tg.ones(3)
    with record() as entries:
        x.numpy()[0] = 5
    assert x.storage.array.__array_interface__["data"][0] not in mutated_arrays(entries)
