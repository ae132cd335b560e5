"""Schedules against their closed forms."""

from __future__ import annotations

import copy
import math

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import optim
from tinygrad_mlp.optim import lr_scheduler as lrs

BASES = (0.8, 0.02)


def make(momentum=0.0, kind="SGD"):
    groups = [{"params": [tg.tensor([1.0], requires_grad=True)], "lr": lr} for lr in BASES]
    return optim.Adam(groups) if kind == "Adam" else optim.SGD(groups, momentum=momentum)


# name -> (the schedule, its closed form: the factor of the initial rate after t steps)
CLOSED = {
    "StepLR": (lambda o: lrs.StepLR(o, 3, 0.5), lambda t: 0.5 ** (t // 3)),
    "MultiStepLR": (
        lambda o: lrs.MultiStepLR(o, [2, 7, 7], 0.5),
        lambda t: 0.5 ** (int(t >= 2) + 2 * (t >= 7)),
    ),
    "ConstantLR": (lambda o: lrs.ConstantLR(o, 0.25, 4), lambda t: 0.25 if t < 4 else 1),
    "LinearLR": (
        lambda o: lrs.LinearLR(o, 0.2, 0.9, 6),
        lambda t: 0.2 + (0.9 - 0.2) * min(t / 6, 1),
    ),
    "ExponentialLR": (lambda o: lrs.ExponentialLR(o, 0.9), lambda t: 0.9**t),
    "CosineAnnealingLR": (
        lambda o: lrs.CosineAnnealingLR(o, 5),
        lambda t: (1 + math.cos(math.pi * t / 5)) / 2,
    ),
    "LambdaLR": (lambda o: lrs.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    "SequentialLR": (
        lambda o: lrs.SequentialLR(
            o, [lrs.LinearLR(o, 0.5, 1.0, 4), lrs.ExponentialLR(o, 0.5)], [3]
        ),
        lambda t: 0.5 + 0.5 * t / 4 if t < 3 else 0.5 ** (t - 3),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_form(name):
    build, factor = CLOSED[name]
    optimizer = make()
    schedule = build(optimizer)
    for t in range(14):
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == schedule.get_last_lr()
        assert rates == pytest.approx([base * factor(t) for base in BASES], rel=1e-12, abs=1e-15)
        assert schedule.last_epoch == t
        schedule.step()


def test_cosine_has_a_floor():
    optimizer = make()
    schedule = lrs.CosineAnnealingLR(optimizer, 4, eta_min=0.01)
    for t in range(12):
        wave = (1 + math.cos(math.pi * t / 4)) / 2
        expected = [0.01 + (base - 0.01) * wave for base in BASES]
        assert schedule.get_last_lr() == pytest.approx(expected, rel=1e-12)
        schedule.step()


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle(strategy, kind):
    optimizer = make(0.9, kind)
    options = {"total_steps": 20, "anneal_strategy": strategy, "pct_start": 0.3}
    schedule = lrs.OneCycleLR(optimizer, max_lr=[1.0, 0.5], **options)

    def between(a, b, x):
        return a + (b - a) * (x if strategy == "linear" else (1 - math.cos(math.pi * x)) / 2)

    for t in range(20):
        for group, top in zip(optimizer.param_groups, (1.0, 0.5), strict=True):
            if t <= 5:
                lr, momentum = between(top / 25, top, t / 5), between(0.95, 0.85, t / 5)
            else:
                x = (t - 5) / 14
                lr, momentum = between(top, top / 25 / 1e4, x), between(0.85, 0.95, x)
            assert group["lr"] == pytest.approx(lr, rel=1e-12)
            found = group["momentum"] if kind == "SGD" else group["betas"][0]
            assert found == pytest.approx(momentum, rel=1e-12)
        schedule.step()
    last = schedule.get_last_lr()
    assert last == pytest.approx([top / 25 / 1e4 for top in (1.0, 0.5)])  # and not beyond
    with pytest.raises(ValueError, match="step 21 is after the last of `total_steps`, 20"):
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == last


@pytest.mark.parametrize("total", [1, 2, 3, 4])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_of_few_steps(total, three_phase):
    optimizer = make(0.9)
    schedule = lrs.OneCycleLR(
        optimizer, 1.0, epochs=1, steps_per_epoch=total, pct_start=0.5, three_phase=three_phase
    )
    for _ in range(total):
        schedule.step()
    assert all(math.isfinite(lr) for lr in schedule.get_last_lr())


def test_plateau():
    optimizer = make()
    schedule = lrs.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, cooldown=2, min_lr=[0.1, 0.008]
    )
    losses = [3.0, 2.0, 2.0, 2.0] + [2.0] * 4 + [1.0, 1.0, 1.0] + [9.0] * 20
    rates = []
    for loss in losses:
        schedule.step(tg.tensor(loss))
        rates.append(schedule.get_last_lr())
    assert rates[2] == [0.8, 0.02]  # one step without progress is patience
    assert rates[3] == [0.4, 0.01]
    assert rates[6] == [0.4, 0.01]  # two steps do not count, and one more is patience
    assert rates[7] == [0.2, 0.008]  # not below min_lr
    assert rates[-1] == [0.1, 0.008]
    assert schedule.best == 1


def test_plateau_upwards():
    optimizer = make()
    schedule = lrs.ReduceLROnPlateau(
        optimizer, mode="max", patience=0, threshold=0.5, threshold_mode="abs"
    )
    for metric in (1.0, 1.6, 2.0):
        schedule.step(metric)
    assert schedule.get_last_lr() == pytest.approx([0.08, 0.002])


@pytest.mark.parametrize(
    "build",
    [
        *(build for build, _ in CLOSED.values()),
        lambda o: lrs.OneCycleLR(o, 0.5, 12, cycle_momentum=False),
        # the second schedule has made steps of its own, which its state holds
        lambda o: lrs.SequentialLR(o, [lrs.ConstantLR(o, 0.5, 2), lrs.StepLR(o, 2, 0.5)], [3]),
        lambda o: lrs.SequentialLR(o, [lrs.ConstantLR(o, 0.5, 2), lrs.LinearLR(o, 0.5)], [2]),
    ],
)
def test_schedule_resumes_from_its_state_dict(build):
    optimizers = make(), make()
    first, second = (build(o) for o in optimizers)
    for _ in range(4):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    assert second.get_last_lr() == first.get_last_lr()
    for _ in range(6):
        first.step()
        second.step()
        assert second.get_last_lr() == first.get_last_lr()


def test_plateau_resumes_from_its_state_dict():
    optimizers = make(), make()
    first, second = (lrs.ReduceLROnPlateau(o, patience=2, cooldown=1) for o in optimizers)
    for loss in (2.0, 1.0, 1.0, 1.0):
        first.step(loss)
    second.load_state_dict(first.state_dict())
    for _ in range(9):
        first.step(1.0)
        second.step(1.0)
        assert second.get_last_lr() == first.get_last_lr()


def test_resuming_by_last_epoch():
    optimizer = make()
    schedule = lrs.StepLR(optimizer, 2, 0.5)
    for _ in range(3):
        schedule.step()
    resumed = lrs.StepLR(optimizer, 2, 0.5, last_epoch=2)
    assert resumed.last_epoch == 3
    assert resumed.get_last_lr() == [0.4, 0.01]
    assert resumed.base_lrs == list(BASES)
    resumed.step()
    assert resumed.get_last_lr() == [0.2, 0.005]


def test_a_schedule_of_ones_own():
    class Halving(lrs.LRScheduler):
        def next_lr(self, lr, base_lr):
            return lr if self.last_epoch == 0 else lr / 2

    schedule = Halving(make())
    schedule.step()
    assert schedule.get_last_lr() == [0.4, 0.01]
    with pytest.raises(NotImplementedError, match="next_lr"):
        lrs.LRScheduler(make())


def test_state_of_another_schedule_is_refused():
    schedule, other = lrs.StepLR(make(), 2), lrs.ExponentialLR(make(), 0.5)
    before = schedule.state_dict()
    with pytest.raises(ValueError, match="no step_size; is it the state of another schedule"):
        schedule.load_state_dict(other.state_dict())
    assert schedule.state_dict() == before
    optimizer = make()
    sequence = lrs.SequentialLR(optimizer, [lrs.StepLR(optimizer, 2)], [])
    with pytest.raises(ValueError, match="it has 0 schedules, not 1"):
        sequence.load_state_dict(schedule.state_dict())


def test_a_group_added_later_is_noticed():
    optimizer = make()
    schedule = lrs.StepLR(optimizer, 1)
    optimizer.add_param_group({"params": [tg.tensor([1.0], requires_grad=True)]})
    with pytest.raises(RuntimeError, match="3 groups, this schedule was made for 2"):
        schedule.step()


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda o: lrs.StepLR(None, 1), TypeError, "must be an Optimizer, not NoneType"),
        (lambda o: lrs.StepLR(o, 0), ValueError, "`step_size` must be 1 or more, not 0"),
        (lambda o: lrs.StepLR(o, 2, last_epoch=5), KeyError, "initial_lr"),
        (lambda o: lrs.ConstantLR(o, 0.0), ValueError, "`factor` must be above 0"),
        (lambda o: lrs.LinearLR(o, 0.0), ValueError, "`start_factor` must be above 0"),
        (lambda o: lrs.LinearLR(o, 0.5, 1.5), ValueError, "`end_factor` must be at least"),
        (lambda o: lrs.CosineAnnealingLR(o, 0), ValueError, "`T_max` must be 1 or more"),
        (lambda o: lrs.LambdaLR(o, [abs]), ValueError, "1 values for 2 parameter groups"),
        (lambda o: lrs.OneCycleLR(o, 1.0), ValueError, "give total_steps, or both"),
        (lambda o: lrs.OneCycleLR(o, 1.0, 0), ValueError, "`total_steps` must be 1 or more"),
        (lambda o: lrs.OneCycleLR(o, 1.0, 9, pct_start=2), ValueError, "`pct_start` must be"),
        (lambda o: lrs.OneCycleLR(o, 1.0, 9, anneal_strategy="x"), ValueError, '"cos" or "linear"'),
        (lambda o: lrs.OneCycleLR(o, [1.0], 9), ValueError, "`max_lr` has 1 values for 2"),
        (
            lambda o: lrs.OneCycleLR(optim.Adagrad(o.param_groups[0]["params"]), 1.0, 9),
            ValueError,
            "cycle_momentum=False",
        ),
        (lambda o: lrs.ReduceLROnPlateau(o, factor=1.0), ValueError, "`factor` must be at least"),
        (lambda o: lrs.ReduceLROnPlateau(o, "least"), ValueError, '"min" or "max", got \'least\''),
        (lambda o: lrs.ReduceLROnPlateau(o, min_lr=[0]), ValueError, "`min_lr` has 1 values"),
        (lambda o: lrs.SequentialLR(o, [], []), ValueError, "0 steps for 0 schedulers"),
        (lambda o: lrs.SequentialLR(o, [lrs.StepLR(make(), 1)], []), ValueError, "not one of this"),
        (
            lambda o: lrs.SequentialLR(o, [lrs.ReduceLROnPlateau(o)], []),
            ValueError,
            "cannot hold a ReduceLROnPlateau",
        ),
    ],
)
def test_wrong_input(build, error, message):
    with pytest.raises(error, match=message):
        build(make())
