"""Groups, hyperparameters, schedules and states of optimizers, changed between the calls."""

from __future__ import annotations

import copy
import warnings

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.compiler.training import data, same
from tinygrad_mlp import nn, optim


def test_hyperparameters_are_read_at_each_step():
    def between(t, k):
        group = t.optimizer.param_groups[0]
        group["lr"], group["betas"] = 0.1 / (k + 1), (0.5 + k / 20, 0.9)

    same(between, optim.Adam, captures=1)


def test_a_hyperparameter_that_chooses_another_kernel_captures_again():
    def between(t, k):
        t.optimizer.param_groups[0]["momentum"] = 0.9 if k > 2 else 0.0

    same(between, captures=2)


def test_schedules_run_between_the_steps():
    def between(t, k):
        if not hasattr(t, "schedule"):
            t.schedule = optim.lr_scheduler.ExponentialLR(t.optimizer, 0.7)
        elif k:
            t.schedule.step()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(between, captures=1)


def test_a_state_dict_is_loaded():
    saved = {}

    def between(t, k):
        if k == 2:
            saved["model"] = copy.deepcopy(t.model.state_dict())
            saved["optimizer"] = copy.deepcopy(t.optimizer.state_dict())
        if k == 4:
            t.model.load_state_dict(saved["model"])
            t.optimizer.load_state_dict(saved["optimizer"])

    same(between, lambda p: optim.Adam(p, lr=0.05), captures=2)


def test_a_group_is_added():
    def between(t, k):
        if k == 3:
            t.optimizer.add_param_group({"params": [nn.Parameter(tg.ones(2))], "lr": 0.5})

    same(between, captures=2)


def test_two_optimizers():
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        body, head = nn.Linear(5, 4), nn.Linear(4, 3)
        one, two = optim.Adam(body.parameters()), optim.SGD(head.parameters(), 0.1, momentum=0.9)

        def step(x, y, body=body, head=head, one=one, two=two):
            for each in (one, two):
                each.zero_grad()
            F.cross_entropy(head(body(x).tanh()), y).backward()
            one.step()
            two.step()

        step = tg.compile(step) if compiled else step
        for k in range(5):
            step(*data(k))
        runs.append([p.tolist() for p in (*body.parameters(), *head.parameters())])
    assert runs[0] == runs[1]
