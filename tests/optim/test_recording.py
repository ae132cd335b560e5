"""Everything that optimizers, schedules and clipping change is named as mutated in a record."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.optim.problems import OPTIMIZERS, parameters, train
from tinygrad_mlp import nn, optim
from tinygrad_mlp.autograd import tape
from tinygrad_mlp.autograd.modes import record
from tinygrad_mlp.optim import lr_scheduler


def arrays_of(params, optimizer):
    """All arrays that outlive a step, by name."""
    found = {f"parameter {k}": p for k, p in enumerate(params)}
    found |= {f"gradient {k}": p.grad for k, p in enumerate(params)}
    for k, p in enumerate(params):
        found |= {f"{name} {k}": v for name, v in optimizer.state[p].items()}
    for k, group in enumerate(optimizer.param_groups):
        found |= {f"{name} of group {k}": cell for name, cell in group.cells.items()}
    return found


def changed_and_named(arrays, entries, before):
    changed = {n for n, v in arrays.items() if not np.array_equal(v.detach().numpy(), before[n])}
    written = {id(e.inputs[k].storage) for e in entries for k in e.op.mutates}
    return changed, {n for n, v in arrays.items() if id(v.storage) in written}


def values(arrays):
    return {name: v.detach().numpy().copy() for name, v in arrays.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step(name):
    params = parameters("float32")
    optimizer = OPTIMIZERS[name](params)
    train(params, optimizer, 1)
    arrays = arrays_of(params, optimizer)
    before, versions = values(arrays), {n: v.storage.version for n, v in arrays.items()}
    with record() as entries:
        optimizer.step()
    changed, named = changed_and_named(arrays, entries, before)
    assert changed == named
    assert {f"parameter {k}" for k in range(len(params))} <= changed
    assert {n for n, v in arrays.items() if v.storage.version != versions[n]} == named


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_first_step_records_only_updates(name):
    """Only updates are recorded, as all state exists before; so the record can be run again."""
    params = parameters("float32")
    optimizer = OPTIMIZERS[name](params)
    for p in params:
        p.grad = tg.ones(p.shape)
    with record() as entries:
        optimizer.step()
    assert {e.op.name for e in entries} <= {
        "add_",
        optimizer.choose(optimizer.param_groups[0]).name,
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_record_run_again_is_a_step(name):
    """The record of the first step, applied to the same tensors, makes the second one."""
    ours, theirs = parameters("float32"), parameters("float32")
    first, second = OPTIMIZERS[name](ours), OPTIMIZERS[name](theirs)
    for p in (*ours, *theirs):
        p.grad = tg.ones(p.shape)
    with record() as entries:
        first.step()
    with tg.no_grad():
        for entry in entries:
            tape.apply(entry.op, entry.inputs, entry.params)
    second.step()
    second.step()
    for p, q in zip(ours, theirs, strict=True):
        assert p.tolist() == q.tolist()


def test_a_schedule_and_clipping():
    params = parameters("float32")
    optimizer = optim.SGD(params, momentum=0.9)
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=10)
    train(params, optimizer, 1)
    for act, changes in [
        (schedule.step, {"lr of group 0", "momentum of group 0"}),
        (lambda: nn.utils.clip_grad_norm_(params, 0.1), {f"gradient {k}" for k in range(4)}),
        (lambda: nn.utils.clip_grad_value_(params, 1e-3), {f"gradient {k}" for k in range(4)}),
        (lambda: optimizer.zero_grad(set_to_none=False), {f"gradient {k}" for k in range(4)}),
    ]:
        arrays = arrays_of(params, optimizer)
        before = values(arrays)
        with record() as entries:
            act()
        changed, named = changed_and_named(arrays, entries, before)
        assert changed == named == changes
