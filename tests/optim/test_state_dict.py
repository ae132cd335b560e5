"""State dicts: training continues with the same bits; a state that does not fit changes nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.optim.problems import OPTIMIZERS, everything, parameters, train
from tinygrad_mlp import optim
from tinygrad_mlp.autograd import modes


def numbers(optimizer):
    return [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_continues_bit_for_bit(name, dtype):
    ours = parameters(dtype)
    optimizer = OPTIMIZERS[name](ours)
    train(ours, optimizer, 3)
    train(ours, optimizer, 2, without=ours[1])
    optimizer.param_groups[0]["lr"] = 0.02
    saved = copy.deepcopy(optimizer.state_dict())
    theirs = [tg.tensor(p.detach().numpy(), requires_grad=True) for p in ours]
    again = OPTIMIZERS[name](theirs)
    again.load_state_dict(saved)
    assert numbers(again) == numbers(optimizer)
    assert everything(theirs, again) == everything(ours, optimizer)
    for params, each in ((ours, optimizer), (theirs, again)):
        train(params, each, 4, seed=9)
    assert everything(theirs, again) == everything(ours, optimizer)


def test_the_format_is_pytorchs():
    x, y = (tg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([{"params": [x]}, {"params": [y], "lr": 0.5}])
    train([x, y], optimizer, 1, without=x)
    saved = optimizer.state_dict()
    assert set(saved) == {"state", "param_groups"}
    assert set(saved["state"]) == {1}
    assert set(saved["state"][1]) == {"step", "exp_avg", "exp_avg_sq"}
    assert saved["param_groups"] == [
        {
            "lr": 1e-3,
            "betas": (0.9, 0.999),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "amsgrad": False,
            "maximize": False,
            "params": [0],
        },
        {
            "lr": 0.5,
            "betas": (0.9, 0.999),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "amsgrad": False,
            "maximize": False,
            "params": [1],
        },
    ]


def test_loading_copies_and_converts():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.5, momentum=0.5)
    saved = optimizer.state_dict()
    saved["state"] = {0: {"momentum_buffer": np.array([3.0, 4.0])}}  # float64
    optimizer.load_state_dict(saved)
    saved["state"][0]["momentum_buffer"][:] = 0
    buffer = optimizer.state[x]["momentum_buffer"]
    assert (buffer.dtype, buffer.tolist()) == ("float32", [3.0, 4.0])
    x.grad = tg.zeros(2)
    optimizer.step()
    assert x.tolist() == [1 - 0.75, 2 - 1.0]


def test_a_state_without_a_step_is_past_its_first():
    x = tg.tensor([0.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=1.0, momentum=0.5, dampening=0.75)
    saved = optimizer.state_dict()
    saved["state"] = {0: {"momentum_buffer": np.array([1.0])}}
    optimizer.load_state_dict(saved)
    x.grad = tg.ones(1)
    optimizer.step()
    assert x.item() == -(0.5 + 0.25)


def test_rates_are_set_by_ops():
    x = tg.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.5)
    saved = optim.SGD([x], lr=0.25).state_dict()
    cell = optimizer.param_groups[0].cells["lr"]
    with modes.record() as entries:
        optimizer.load_state_dict(saved)
    assert any(e.inputs[0] is cell and e.op.mutates == (0,) for e in entries)
    assert cell.item() == 0.25


def test_missing_flags_keep_their_values_and_extras_are_kept():
    x = tg.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([x], maximize=True)
    saved = optimizer.state_dict()
    del saved["param_groups"][0]["maximize"]  # an older version had none
    saved["param_groups"][0]["initial_lr"] = 0.5
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["maximize"] is True
    assert optimizer.param_groups[0]["initial_lr"] == 0.5


def group_of(saved):
    return saved["param_groups"][0]


def without_buffer(saved):
    del saved["state"][0]["exp_avg"]


def without_step(saved):
    del saved["state"][0]["step"]


def foreign_state(saved):
    saved["state"][0]["momentum_buffer"] = np.zeros((4, 3))


def wrong_shape(saved):
    saved["state"][2]["exp_avg"] = np.zeros((3, 4))


def vector_step(saved):
    saved["state"][2]["step"] = np.zeros(2)


def unknown_parameter(saved):
    saved["state"][7] = saved["state"][0]


def fewer_parameters(saved):
    group_of(saved)["params"] = [0]


def more_groups(saved):
    saved["param_groups"] *= 2


def no_betas(saved):
    del group_of(saved)["betas"]


def wrong_rate(saved):
    group_of(saved)["lr"] = -1.0


def no_groups(saved):
    del saved["param_groups"]


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (without_buffer, ValueError, "state 0 has .* where .*'exp_avg'.* is wanted"),
        (without_step, ValueError, "'step'.* is wanted"),
        (foreign_state, ValueError, "another optimizer's state"),
        (wrong_shape, ValueError, r"exp_avg of state 2 has shape \(3, 4\), not \(2, 1, 2\)"),
        (vector_step, ValueError, r"step of state 2 has shape \(2,\), not \(\)"),
        (unknown_parameter, ValueError, r"state for parameters \[7\]"),
        (
            fewer_parameters,
            ValueError,
            r"groups have \[1\] parameters, this optimizer's have \[4\]",
        ),
        (more_groups, ValueError, r"groups have \[4, 4\]"),
        (no_betas, ValueError, "no betas; is it another optimizer's state"),
        (wrong_rate, ValueError, "`lr` must be at least 0, got -1"),
        (no_groups, TypeError, '"state" and "param_groups"'),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(spoil, error, message):
    ours = parameters("float32")
    optimizer = optim.Adam(ours)
    train(ours, optimizer, 2)
    before = numbers(optimizer), everything(ours, optimizer)
    saved = copy.deepcopy(optimizer.state_dict())
    group_of(saved)["lr"] = 0.75
    spoil(saved)
    with pytest.raises(error, match=message):
        optimizer.load_state_dict(saved)
    assert (numbers(optimizer), everything(ours, optimizer)) == before


def test_another_optimizers_state_is_refused():
    ours = parameters("float32")
    adam = optim.Adam(ours)
    train(ours, adam, 1)
    with pytest.raises(ValueError, match="no dampening, momentum"):
        optim.SGD(ours).load_state_dict(adam.state_dict())
    nesterov = optim.SGD(ours).state_dict()
    group_of(nesterov)["nesterov"] = True
    with pytest.raises(ValueError, match="needs momentum"):
        optim.SGD(ours).load_state_dict(nesterov)
