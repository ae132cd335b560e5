"""Modes, parameters, hooks and attributes of modules, changed between the calls."""

from __future__ import annotations

import tinygrad_mlp as tg
from tests.compiler.training import data, same
from tinygrad_mlp import nn


def test_programs_of_both_modes_stay():
    same(lambda t, k: t.model.train(k % 2 == 0), captures=2)


def test_a_parameter_is_replaced():
    def between(t, k):
        if k == 3:
            t.model[0].weight = nn.Parameter(tg.ones(7, 5))

    same(between, captures=3)  # the new one is not the optimizer's: its gradients add up


def test_parameters_are_frozen_and_thawed():
    def between(t, k):
        t.model[0].weight.requires_grad_(k not in (2, 3))

    same(between, captures=2)


def test_a_module_becomes_double():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    step = tg.compile(lambda x: model(x))
    x, _ = data()
    with tg.no_grad():
        assert step(x).tolist() == model(x).tolist()
        model.double()
        assert step(x.double()).tolist() == model(x.double()).tolist()
        model.float()
        model[0].weight.mul_(2)
        assert step(x).tolist() == model(x).tolist()


def test_a_module_among_the_arguments_is_guarded():
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5))

    @tg.compile
    def forward(model, x):
        return model(x)

    x, _ = data()
    with tg.no_grad():
        forward(model, x)
        model.eval()
        assert forward(model, x).tolist() == model(x).tolist()
        model[0] = nn.Linear(5, 2)
        assert forward(model, x).tolist() == model(x).tolist()


def test_methods_are_compiled():
    class Trainer:
        def __init__(self):
            self.model, self.scale = nn.Linear(5, 2), 2.0

        @tg.compile
        def forward(self, x):
            return self.model(x) * self.scale

    trainer, x = Trainer(), data()[0]
    with tg.no_grad():
        for scale in (2.0, 3.0, 2.0):
            trainer.scale = scale
            assert trainer.forward(x).tolist() == (trainer.model(x) * scale).tolist()
        trainer.model = nn.Linear(5, 2)
        assert trainer.forward(x).tolist() == (trainer.model(x) * 2).tolist()
        bound = tg.compile(Trainer.forward.function.__get__(trainer))
        for scale in (5.0, 6.0):
            trainer.scale = scale
            assert bound(x).tolist() == (trainer.model(x) * scale).tolist()


def test_forward_hooks_are_captured_and_their_removal_captures_again():
    model, seen = nn.Linear(5, 2), []
    handle = model.register_forward_hook(lambda m, a, out: seen.append(1) or out * 2)
    step = tg.compile(model)
    x, _ = data()
    with tg.no_grad():
        doubled = [step(x).tolist() for _ in range(3)]
        assert doubled[0] == doubled[2] == (model(x)).tolist()
        assert len(seen) == 2  # the hook itself ran once for the step, and once just now
        handle.remove()
        assert step(x).tolist() == model(x).tolist()


def test_a_variable_that_is_assigned_later_is_found():
    @tg.compile
    def forward(x):
        return model(x)

    model = nn.Sequential(nn.Linear(5, 2), nn.Dropout(0.5))
    first, x = model, data()[0]
    second = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5))
    with tg.no_grad():
        for model in (first, second, first, second):
            model.train()
            forward(x)
            model.eval()
            assert forward(x).tolist() == model(x).tolist()
    assert forward.captures == 4
