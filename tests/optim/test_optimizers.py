"""Optimizers against their textbooks, and what they do with groups, state and wrong input."""

from __future__ import annotations

import copy
import inspect
import math
import pickle

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.optim.problems import OPTIMIZERS, everything, parameters, train
from tinygrad_mlp import nn, optim
from tinygrad_mlp.autograd import modes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_follows_its_textbook(name, dtype):
    """The optimizer's steps are its update's textbook form, applied again and again."""
    ours, alone = parameters(dtype), parameters(dtype)
    optimizer = OPTIMIZERS[name](ours)
    group = optimizer.param_groups[0]
    op = optimizer.choose(group)
    flags = {flag: group[flag] for flag in op.params}
    states = [{n: tg.tensor(optimizer.initial(n, p, group)) for n in op.state} for p in alone]
    for step in range(1, 8):
        train(ours, optimizer, 1, seed=step)
        set_gradients = np.random.default_rng(step)
        for p, state in zip(alone, states, strict=True):
            g = tg.tensor(np.asarray(set_gradients.normal(size=p.shape)).astype(dtype))
            numbers = [
                tg.tensor(np.array(float(step))) if n == "step" else group.cells[n]
                for n in op.numbers
            ]
            with tg.no_grad():
                new = op.textbook(p, g, *state.values(), *numbers, **flags)
                p.copy_(new[0])
            state.update(zip(op.state, new[1:], strict=True))
    tolerance = 3e-6 if dtype == "float32" else 1e-13
    for p, q in zip(ours, alone, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), tolerance, tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_finds_the_minimum(name):
    x = tg.tensor([1.0, -2.0, 3.0], requires_grad=True)
    optimizer = OPTIMIZERS[name]([x])
    sign = -1 if optimizer.defaults["maximize"] else 1
    first = (x * x).sum().item()
    for _ in range(200):
        optimizer.zero_grad()
        (sign * x * x).sum().backward()
        optimizer.step()
    assert (x * x).sum().item() < first


def test_parameters_without_gradient_are_left_alone():
    x, y = parameters("float32")[:2]
    optimizer = optim.Adam([x, y])
    before = y.tolist()
    x.grad = tg.ones(x.shape)
    optimizer.step()
    assert y.tolist() == before
    assert y not in optimizer.state


def test_two_optimizers_on_different_parameters():
    x, y = parameters("float32")[:2]
    first, second = optim.SGD([x], lr=1.0), optim.Adam([y])
    for p in (x, y):
        p.grad = tg.ones(p.shape)
    before = x.detach().numpy().copy(), y.detach().numpy().copy()
    first.step()
    assert (x.detach().numpy() == before[0] - 1).all()
    assert (y.detach().numpy() == before[1]).all()
    second.step()
    assert (y.detach().numpy() != before[1]).all()


def test_closure_runs_with_gradients():
    x = tg.tensor([3.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 9
    assert x.item() == 0
    assert optimizer.step() is None


def test_zero_grad():
    x = tg.tensor([3.0], requires_grad=True)
    optimizer = optim.SGD([x])
    optimizer.zero_grad(set_to_none=False)
    assert x.grad is None
    (x * x * x).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    optimizer.zero_grad(set_to_none=False)
    assert (x.grad.item(), x.grad.requires_grad) == (0, False)
    optimizer.zero_grad()
    assert x.grad is None


def test_gradients_that_are_taped_can_be_stepped_along():
    x = tg.tensor([3.0], requires_grad=True)
    (x * x).sum().backward(create_graph=True)
    optim.SGD([x], lr=0.5).step()
    assert x.item() == 0
    assert x.is_leaf


def test_a_wrong_gradient_is_refused_before_anything_changes():
    x, y = tg.tensor([1.0], requires_grad=True), tg.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.Adam([x, y])
    x.grad = tg.ones(1)
    for wrong in (tg.ones(3), tg.ones(2, dtype="float64")):
        y.grad = wrong
        with pytest.raises(ValueError, match=r"gradient of parameter 1 .* is float"):
            optimizer.step()
    for wrong in (np.ones(2), 3):
        y.grad = wrong
        for act in (optimizer.step, lambda: optimizer.zero_grad(set_to_none=False)):
            with pytest.raises(TypeError, match=r"gradient of parameter 1 .*tensor, not (nd|int)"):
                act()
    assert x.item() == 1
    assert not optimizer.state
    optimizer.zero_grad()
    assert y.grad is None


def test_a_state_that_does_not_fit_is_refused_before_anything_changes():
    x, y = tg.tensor([1.0], requires_grad=True), tg.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([("x", x), ("y", y)], momentum=0.9)
    x.grad, y.grad = tg.ones(1), tg.ones(2)
    for wrong, error in [(tg.ones(3), ValueError), (np.ones(2), TypeError)]:
        optimizer.state[y]["momentum_buffer"] = wrong
        with pytest.raises(error, match=r"of parameter 'y' .*`momentum_buffer`.*state\.clear\(\)"):
            optimizer.step()
    assert x.item() == 1
    assert x not in optimizer.state


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adagrad", "RMSprop"])
def test_a_model_that_became_another_dtype_advances_no_count(name):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = getattr(optim, name)(
        [{"params": model[0].parameters()}, {"params": model[1].parameters()}]
    )

    def backward(dtype):
        optimizer.zero_grad()
        model(tg.ones(4, 2, dtype=dtype)).sum().backward()

    backward("float32")
    optimizer.step()
    model.double()
    before = [p.tolist() for p in model.parameters()]
    backward("float64")
    with pytest.raises(TypeError, match=r"parameter 0 of group 0 .*must be float64, not float32"):
        optimizer.step()
    assert [p.tolist() for p in model.parameters()] == before
    assert {s["step"].item() for s in optimizer.state.values()} == {1}
    optimizer.state.clear()  # the way out that the message names
    optimizer.step()
    assert {s["step"].item() for s in optimizer.state.values()} == {1}


# --- counts -------------------------------------------------------------------------------------


def counts(optimizer):
    return [s["step"].item() for s in optimizer.state.values()]


def test_parameters_updated_together_share_their_count():
    ps = parameters("float32")
    optimizer = optim.Adam(ps)
    train(ps, optimizer, 3)
    assert len({id(s["step"]) for s in optimizer.state.values()}) == 1
    with modes.record() as entries:
        train(ps, optimizer, 1)
    assert [e.op.name for e in entries] == ["add_", *["adam_"] * len(ps)]
    assert counts(optimizer) == [4] * len(ps)


def test_who_is_left_out_keeps_its_count():
    ps = parameters("float32")
    optimizer = optim.Adam(ps)
    train(ps, optimizer, 2)
    train(ps, optimizer, 3, without=ps[0])
    assert counts(optimizer) == [2, *[5] * (len(ps) - 1)]
    train(ps, optimizer, 1)
    train(ps, optimizer, 1, without=ps[1])
    assert counts(optimizer) == [4, 6, *[7] * (len(ps) - 2)]
    late = tg.tensor([1.0], requires_grad=True)
    optimizer.add_param_group({"params": [late]})
    train([*ps, late], optimizer, 1)
    assert counts(optimizer) == [5, 7, *[8] * (len(ps) - 2), 1]


def test_plain_gradient_descent_keeps_nothing():
    ps = parameters("float32")
    optimizer = optim.SGD(ps)
    train(ps, optimizer, 2)
    assert optimizer.state_dict()["state"] == {}


# --- groups and hyperparameters -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"])
def test_every_number_is_declared_with_its_range(name):
    signature = inspect.signature(getattr(optim, name)).parameters
    defaults = {key: p.default for key, p in signature.items() if key != "params"}
    numbers = {key for key, value in defaults.items() if not isinstance(value, bool)}
    optimizer = getattr(optim, name)([X])
    assert set(optimizer.ranges) == numbers
    assert optimizer.defaults == defaults
    assert dict(optimizer.param_groups[0]) == {**defaults, "params": [X]}


def test_hyperparameters_are_cells_that_read_as_floats():
    optimizer = optim.Adam(parameters("float32"), lr=1)
    group = optimizer.param_groups[0]
    assert group["lr"] == 1.0
    assert type(group["lr"]) is float
    assert group["betas"] == (0.9, 0.999)
    cell = group.cells["lr"]
    assert (cell.shape, cell.dtype) == ((), "float64")
    with modes.record() as entries:
        group["lr"] *= 0.1
        group["betas"] = (0.8, 0.9)
    assert [e.op.name for e in entries] == ["copy_"] * 3
    assert cell.item() == group["lr"] == 0.1
    assert [group.cells[n].item() for n in ("beta1", "beta2")] == [0.8, 0.9]
    group["lr"] = tg.tensor(0.25)
    group["note"] = "mine"
    assert dict(group)["lr"] == 0.25
    assert dict(group)["note"] == "mine"
    assert group["amsgrad"] is False
    assert optimizer.defaults["lr"] == 1


def test_a_new_rate_is_used_by_the_next_step():
    x = tg.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.5)
    x.grad = tg.ones(1)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.step()
    assert x.item() == 0.25


def test_flags_and_momentum_may_be_turned_on_later():
    x = tg.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=1.0)
    group = optimizer.param_groups[0]
    x.grad = tg.ones(1)
    optimizer.step()
    group["momentum"] = 0.5
    optimizer.step()
    optimizer.step()
    assert x.item() == 1 - 1 - 1 - 1.5
    group["dampening"], group["maximize"] = 0.5, True
    optimizer.step()  # buffer 1.5 * 0.5 - 0.5
    assert x.item() == -2.5 - 0.25


def test_groups_have_their_own_hyperparameters():
    x, y = parameters("float64")[:2]
    optimizer = optim.SGD([{"params": [x], "lr": 0.5}, {"params": y}], lr=0.25, momentum=0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.25]
    assert [len(g["params"]) for g in optimizer.param_groups] == [1, 1]
    before = x.detach().numpy().copy(), y.detach().numpy().copy()
    for p in (x, y):
        p.grad = tg.ones(p.shape, dtype="float64")
    optimizer.step()
    assert (x.detach().numpy() == before[0] - 0.5).all()
    assert (y.detach().numpy() == before[1] - 0.25).all()


def test_named_parameters():
    x, y, z = (tg.tensor([1.0], requires_grad=True) for _ in range(3))
    optimizer = optim.SGD([("x", x), ("y", y)])
    assert optimizer.param_groups[0]["param_names"] == ["x", "y"]
    assert optimizer.param_groups[0]["params"] == [x, y]
    for wrong in ([z], [("z", z), tg.tensor([1.0])]):
        with pytest.raises(ValueError, match="names for all parameters, or for none"):
            optimizer.add_param_group({"params": wrong})
    assert len(optimizer.param_groups) == 1


def test_repr():
    text = repr(optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=0.5))
    assert text == (
        "SGD (\nParameter Group 0\n    dampening: 0.0\n    lr: 0.5\n    maximize: False\n"
        "    momentum: 0.0\n    nesterov: False\n    weight_decay: 0.0\n)"
    )


X = tg.tensor([1.0], requires_grad=True)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: optim.SGD([]), ValueError, "`params` is empty"),
        (lambda: optim.SGD([{"params": []}]), ValueError, "`params` is empty"),
        (lambda: optim.SGD(X), TypeError, r"SGD\(\[x\]\)"),
        (lambda: optim.SGD([X, X]), ValueError, "parameter 1 of group 0.*given before"),
        (lambda: optim.SGD([{"params": X}, {"params": X}]), ValueError, "0 of group 1.*before"),
        (lambda: optim.SGD([X * 2]), ValueError, "not a leaf: it was computed by mul"),
        (lambda: optim.SGD([tg.tensor([1, 2])]), TypeError, "must be floating, not int64"),
        (lambda: optim.SGD([[1.0]]), TypeError, "must be a tensor, not list"),
        (lambda: optim.SGD([{"params": {X}}]), TypeError, "order"),
        (lambda: optim.SGD({X}), TypeError, "order"),
        (lambda: optim.SGD([{"parameters": [X]}]), TypeError, "a parameter group is a dict"),
        (lambda: optim.SGD([{"params": [X]}, X]), TypeError, "a parameter group is a dict"),
        (lambda: optim.SGD([X], lr=-0.1), ValueError, "SGD: `lr` must be at least 0, got -0.1"),
        (lambda: optim.SGD([X], lr=math.nan), ValueError, "`lr` must be at least 0, got nan"),
        (lambda: optim.SGD([X], lr=math.inf), ValueError, "`lr` must be at least 0, got inf"),
        (lambda: optim.SGD([X], lr="0.1"), TypeError, "`lr` must be a number, got '0.1'"),
        (lambda: optim.SGD([X], lr=True), TypeError, "`lr` must be a number"),
        (lambda: optim.SGD([X], lr=None), TypeError, "`lr` must be a number, got None"),
        (
            lambda: optim.SGD([{"params": [X], "momentum": -1}]),
            ValueError,
            "`momentum` must be at least 0",
        ),
        (lambda: optim.SGD([X], nesterov=True), ValueError, "nesterov=True needs momentum"),
        (
            lambda: optim.SGD([X], momentum=0.9, dampening=0.1, nesterov=True),
            ValueError,
            "dampening=0.1",
        ),
        (lambda: optim.Adam([X], betas=(0.9, 1.0)), ValueError, r"`betas\[1\]` must be at least 0"),
        (lambda: optim.Adam([X], betas=0.9), TypeError, "`betas` must be 2 numbers, got 0.9"),
        (lambda: optim.Adam([X], eps=-1), ValueError, "`eps` must be at least 0"),
        (lambda: optim.Adadelta([X], rho=1.1), ValueError, "`rho` must .* at most 1, got 1.1"),
        (lambda: optim.RMSprop([X], alpha=-1), ValueError, "`alpha` must be at least 0"),
        (lambda: optim.Adagrad([X], lr_decay=-1), ValueError, "`lr_decay` must be at least 0"),
    ],
)
def test_wrong_input(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_a_hyperparameter_cannot_become_wrong():
    optimizer = optim.Adam([X], lr=0.5)
    group = optimizer.param_groups[0]
    with pytest.raises(ValueError, match="`lr` must be"):
        group["lr"] = -1
    with pytest.raises(ValueError, match=r"betas\[1\]"):
        group["betas"] = (0.5, 1.5)
    with pytest.raises(KeyError, match="cannot be deleted"):
        del group["lr"]
    assert (group["lr"], group["betas"]) == (0.5, (0.9, 0.999))


# --- one's own optimizer, copies ------------------------------------------------------------------


def test_an_optimizer_of_ones_own_in_pytorchs_manner():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr, "flag": True})

        def step(self):
            with tg.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        self.state[p]["steps"] = self.state[p].get("steps", 0) + 1
                        p.sub_(group["lr"] * p.grad.sign())

    x = tg.tensor([1.0, -1.0], requires_grad=True)
    optimizer = Signs([x], lr=0.25)
    (x * x).sum().backward()
    optimizer.step()
    assert x.tolist() == [0.75, -0.75]
    saved = optimizer.state_dict()
    assert saved["state"] == {0: {"steps": 1}}
    again = Signs([x], lr=1.0)
    again.load_state_dict(saved)
    assert again.state[x] == {"steps": 1}
    assert again.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_are_independent_and_whole(copied):
    ps = parameters("float32")
    optimizer = optim.Adam(ps)
    train(ps, optimizer, 2)
    twin = copied(optimizer)
    theirs = twin.param_groups[0]["params"]
    before = everything(theirs, twin)
    train(ps, optimizer, 2)
    assert everything(theirs, twin) == before
    train(theirs, twin, 2)
    assert everything(theirs, twin) == everything(ps, optimizer)
