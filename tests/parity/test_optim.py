"""Optimizers, schedules and clipping against PyTorch, number by number."""

from __future__ import annotations

import copy
import itertools
import math
import re
import warnings

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.optim import lr_scheduler

pytestmark = pytest.mark.parity

SHAPES = [(4, 3), (3,), (), (2, 1, 5)]
STEPS = 40


def grid(**options):
    """All combinations of the options' values, as keyword arguments."""
    for values in itertools.product(*options.values()):
        yield dict(zip(options, values, strict=True))


COMMON = {"weight_decay": [0, 0.1], "maximize": [False, True]}
OPTIONS = [
    *(("SGD", o) for o in grid(lr=[0.05], momentum=[0, 0.9], dampening=[0, 0.3], **COMMON)),
    *(("SGD", o) for o in grid(lr=[0.05], momentum=[0.9], nesterov=[True], **COMMON)),
    *(
        ("Adagrad", o)
        for o in grid(
            lr_decay=[0, 0.1], initial_accumulator_value=[0, 0.5], eps=[1e-10, 0.1], **COMMON
        )
    ),
    *(("Adadelta", o) for o in grid(lr=[1.0, 0.5], rho=[0.9, 0.5], eps=[1e-6, 1e-2], **COMMON)),
    *(
        ("RMSprop", o)
        for o in grid(alpha=[0.99, 0.5], momentum=[0, 0.5], centered=[False, True], **COMMON)
    ),
    *(
        ("Adam", o)
        for o in grid(
            betas=[(0.9, 0.999), (0.5, 0.7)], eps=[1e-8, 0.1], amsgrad=[False, True], **COMMON
        )
    ),
    *(
        ("AdamW", o)
        for o in grid(betas=[(0.9, 0.999), (0.5, 0.7)], amsgrad=[False, True], **COMMON)
    ),
]


def named(name, options):
    """The same in every process: a function has no name to show but its address."""
    shown = {k: re.sub(r" at 0x\w+", "", str(v)) for k, v in options.items()}
    return ",".join([name, *(f"{k}={v}" for k, v in shown.items())])


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def twins(torch, dtype, seed=0, scale=1.0):
    """The same parameters here and there, and a function that gives both the same gradients."""
    generator = np.random.default_rng(seed)
    arrays = [np.asarray(scale * generator.normal(size=s)).astype(dtype) for s in SHAPES]
    ours = [tg.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]

    def set_gradients(size=1.0):
        for mine, their in zip(ours, theirs, strict=True):
            g = np.asarray(size * generator.normal(size=mine.shape)).astype(dtype)
            mine.grad, their.grad = tg.tensor(g), torch.tensor(g)

    return ours, theirs, set_gradients


def assert_equal(ours, theirs, dtype, steps=1):
    """float64 to the last digits; float32 to a few roundings, which add up over the steps."""
    tolerance = 1e-12 if dtype == "float64" else 4e-7 * math.sqrt(steps)
    for mine, their in zip(ours, theirs, strict=True):
        mine, their = mine.detach().numpy(), their.detach().numpy()
        assert mine.dtype == their.dtype
        np.testing.assert_allclose(mine, their, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=[named(*o) for o in OPTIONS])
def test_optimizer(torch, name, options, dtype):
    ours, theirs, set_gradients = twins(torch, dtype)
    mine = getattr(optim, name)(ours, **options)
    their = getattr(torch.optim, name)(theirs, **options)
    for _ in range(STEPS):
        set_gradients()
        mine.step()
        their.step()
    assert_equal(ours, theirs, dtype, STEPS)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW"])
def test_defaults_and_refusals(torch, name):
    x, y = tg.tensor([1.0], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    mine, their = getattr(optim, name)([x]).defaults, getattr(torch.optim, name)([y]).defaults
    assert {key: their[key] for key in mine} == mine
    knobs = {"foreach", "differentiable", "fused", "capturable", "decoupled_weight_decay"}
    assert set(their) - set(mine) <= knobs
    numbers = {key for key, value in mine.items() if not isinstance(value, bool)} - {"dampening"}
    for key in numbers:
        for wrong in [(-0.1, 0.9), (0.9, 1.0)] if key == "betas" else [-0.1]:
            for module, parameter in ((optim, x), (torch.optim, y)):
                with pytest.raises(ValueError, match=r"0 or more|at least 0|from 0|Invalid"):
                    getattr(module, name)([parameter], **{key: wrong})


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW"])
def test_groups_and_skipped_parameters(torch, name):
    ours, theirs, set_gradients = twins(torch, "float64")
    mine, their = (
        getattr(module, name)(
            [{"params": p[:2], "lr": 0.3, "weight_decay": 0.2}, {"params": p[2:]}], lr=0.02
        )
        for module, p in ((optim, ours), (torch.optim, theirs))
    )
    for k in range(12):
        set_gradients()
        for p in (ours, theirs):
            if k % 3 == 0:
                p[1].grad = None
            if k < 5:
                p[2].grad = None
        mine.step()
        their.step()
    assert_equal(ours, theirs, "float64")
    for k, state in their.state_dict()["state"].items():
        for key, value in state.items():
            if value is not None:
                found = mine.state_dict()["state"][k][key].numpy()
                np.testing.assert_allclose(found, value.detach().numpy(), rtol=1e-12, atol=1e-14)


STATEFUL = [
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.4}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
]


@pytest.mark.parametrize(("name", "options"), STATEFUL, ids=[named(*o) for o in STATEFUL])
@pytest.mark.parametrize("direction", ["from PyTorch", "to PyTorch"])
def test_state_dicts_travel(torch, name, options, direction):
    ours, theirs, set_gradients = twins(torch, "float64")
    mine = getattr(optim, name)(ours, **options)
    their = getattr(torch.optim, name)(theirs, **options)

    def steps(count):
        for _ in range(count):
            set_gradients()
            mine.step()
            their.step()

    steps(5)
    mine.param_groups[0]["lr"] = their.param_groups[0]["lr"] = 0.03
    if direction == "from PyTorch":
        state = copy.deepcopy(their.state_dict())
        mine = getattr(optim, name)(ours)
        mine.load_state_dict(state)
    else:
        state = mine.state_dict()
        state["state"] = {
            k: {n: torch.tensor(v.numpy()) for n, v in entry.items()}
            for k, entry in state["state"].items()
        }
        their = getattr(torch.optim, name)(theirs)
        their.load_state_dict(state)
    steps(5)
    assert_equal(ours, theirs, "float64")


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11], "gamma": 0.4}),
    ("ConstantLR", {"factor": 0.3, "total_iters": 4}),
    ("LinearLR", {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 7}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("CosineAnnealingLR", {"T_max": 7}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.003}),
    ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
    ("LambdaLR", {"lr_lambda": [lambda t: 0.9**t, lambda t: 1.0]}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 25}),
    (
        "OneCycleLR",
        {
            "max_lr": [0.5, 1.0],
            "epochs": 5,
            "steps_per_epoch": 5,
            "pct_start": 0.4,
            "anneal_strategy": "linear",
            "three_phase": True,
            "div_factor": 10.0,
        },
    ),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 25, "cycle_momentum": False, "pct_start": 0.0}),
    (
        "OneCycleLR",
        {
            "max_lr": 0.5,
            "total_steps": 25,
            "base_momentum": [0.8, 0.7],
            "max_momentum": 0.99,
            "final_div_factor": 10.0,
        },
    ),
]


def pair_of_optimizers(torch, name="SGD", **options):
    result = []
    for module, library in ((optim, tg), (torch.optim, torch)):
        x, y = (library.tensor([float(k)], requires_grad=True) for k in (1, 2))
        groups = [{"params": [x]}, {"params": [y], "lr": 0.05}]
        result.append(getattr(module, name)(groups, lr=0.1, **options))
    return result


def run(scheduler, optimizer, steps, key):
    numbers = [[group[key] for group in optimizer.param_groups]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch misses optimizer.step()
        for _ in range(steps):
            scheduler.step()
            assert scheduler.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
            numbers.append([group[key] for group in optimizer.param_groups])
    return numbers


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=[named(*o)[:60] for o in SCHEDULES])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_schedule(torch, name, options, optimizer):
    momentum = {"momentum": 0.9} if optimizer == "SGD" else {}
    key = "momentum" if optimizer == "SGD" else "betas"
    for observed in ("lr", key):
        mine, their = pair_of_optimizers(torch, optimizer, **momentum)
        ours = getattr(lr_scheduler, name)(mine, **options)
        theirs = getattr(torch.optim.lr_scheduler, name)(their, **options)
        assert run(ours, mine, 24, observed) == run(theirs, their, 24, observed)


def test_schedules_chained_and_in_sequence(torch):
    found = []
    for module, optimizer in zip(
        (lr_scheduler, torch.optim.lr_scheduler), pair_of_optimizers(torch), strict=True
    ):
        first = module.ExponentialLR(optimizer, gamma=0.9)
        second = module.StepLR(optimizer, step_size=4)
        rates = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(10):
                first.step()
                second.step()
                rates.append([group["lr"] for group in optimizer.param_groups])
        parts = [
            module.LinearLR(optimizer, total_iters=3),
            module.CosineAnnealingLR(optimizer, T_max=5),
            module.ConstantLR(optimizer, factor=0.5),
        ]
        sequence = module.SequentialLR(optimizer, parts, milestones=[4, 9])
        found.append((rates, run(sequence, optimizer, 20, "lr")))
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "cooldown": 3, "factor": 0.5},
        {"patience": 1, "threshold": 0.1, "min_lr": [0.02, 0.001]},
        {"patience": 1, "eps": 0.02},
    ],
)
def test_plateau(torch, mode, threshold_mode, options):
    metrics = [*np.random.default_rng(3).normal(size=60).tolist(), math.nan, math.inf, 0.0]
    found = []
    for module, optimizer in zip(
        (lr_scheduler, torch.optim.lr_scheduler), pair_of_optimizers(torch), strict=True
    ):
        scheduler = module.ReduceLROnPlateau(
            optimizer, mode=mode, threshold_mode=threshold_mode, **options
        )
        rates = []
        for metric in metrics:
            scheduler.step(metric)
            rates.append(scheduler.get_last_lr())
        found.append(rates)
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf, 3.0, 0.5])
@pytest.mark.parametrize("max_norm", [0.5, 1e4])
def test_clip_grad_norm(torch, norm_type, max_norm, dtype):
    ours, theirs, set_gradients = twins(torch, dtype)
    set_gradients()
    ours[1].grad = theirs[1].grad = None
    mine = nn.utils.clip_grad_norm_(ours, max_norm, norm_type)
    their = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert_equal([mine], [their], dtype, 9)
    pairs = [(m.grad, t.grad) for m, t in zip(ours, theirs, strict=True) if t.grad is not None]
    assert_equal(*zip(*pairs, strict=True), dtype, 9)


def test_clip_grad_value(torch):
    ours, theirs, set_gradients = twins(torch, "float32")
    set_gradients()
    ours[0].grad[0, 0] = math.nan
    theirs[0].grad[0, 0] = math.nan
    nn.utils.clip_grad_value_(ours, 0.7)
    torch.nn.utils.clip_grad_value_(theirs, 0.7)
    assert_equal([p.grad for p in ours], [p.grad for p in theirs], "float32")
