"""A compiled function keeps its last 32 programs, and warns once that it was captured often."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn

LIMIT, MANY = 32, 8


def by_argument() -> tuple[Callable[[int], float], str]:
    step = tg.compile(lambda x, k: x * k)
    return lambda k: step(tg.ones(1), float(k)).item(), r"argument 1 \(6\.0, then 7\.0\)"


def by_shape() -> tuple[Callable[[int], float], str]:
    step = tg.compile(lambda x: x.sum())
    return lambda k: step(tg.ones(k)).item(), "argument 0"


def by_attribute() -> tuple[Callable[[int], float], str]:
    o = types.SimpleNamespace(rate=0.0)

    def helper(x, config):
        return x * config.rate

    step = tg.compile(lambda x: helper(x, o))

    def call(k):
        o.rate = float(k)
        return step(tg.ones(1)).item()

    return call, r"o\.rate \(6\.0, then 7\.0\)"


def by_module() -> tuple[Callable[[int], float], str]:
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.rate = 0.0

        def forward(self, x):
            return x * self.rate

    model = Scaled()
    step = tg.compile(model)

    def call(k):
        model.rate = float(k)
        return step(tg.ones(1)).item()

    return call, "modules and optimizers"


def function_of(call: Callable[[int], float]) -> tg.compiler.CompiledFunction:
    cells = dict(zip(call.__code__.co_freevars, call.__closure__ or (), strict=True))
    return cells["step"].cell_contents


@pytest.mark.parametrize("make", [by_argument, by_shape, by_attribute, by_module])
def test_the_last_programs_stay_with_one_warning_that_names_what_varies(make) -> None:
    call, varies = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(3 * LIMIT):
            assert call(k) == k
    (warning,) = caught
    message = f"was captured {MANY} times.*the last {LIMIT} are kept. The last two differ in "
    with pytest.warns(UserWarning, match=message + varies):
        warnings.warn_explicit(warning.message, UserWarning, "", 0)
    step = function_of(call)
    assert len(step.specializations) == LIMIT
    assert sum(map(len, step.by_key.values())) == LIMIT
    assert len(step.context.interned) <= LIMIT + 1
    assert step.captures == 3 * LIMIT


def test_the_program_that_was_not_used_for_longest_goes() -> None:
    call, _ = by_argument()
    step = function_of(call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(LIMIT):
            call(k)
        call(0)  # now 1 is the oldest
        assert step.captures == LIMIT
        call(LIMIT)
        assert step.captures == LIMIT + 1
        call(0)
        assert step.captures == LIMIT + 1
        call(1)
        assert step.captures == LIMIT + 2
