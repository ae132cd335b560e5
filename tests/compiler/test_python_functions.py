"""Python values that functions of all kinds read in a step: a change between calls is seen."""

from __future__ import annotations

import contextvars
import ctypes
import enum
import functools
import threading
import types
import weakref

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.compiler.steps import CASES, COMPILED, Config, Made, case, check, halfway, on
from tinygrad_mlp import nn

CONTEXT: contextvars.ContextVar[float] = contextvars.ContextVar("scale", default=1.0)


@case(COMPILED)
def default_arguments() -> Made:
    rates = [1.0]

    def helper(x, kept=rates):
        return x * kept[0]

    return lambda x: helper(x), lambda k: rates.__setitem__(0, halfway(k))


@case(COMPILED)
def a_partial() -> Made:
    o = Config()

    def helper(config, x, factor):
        return x * config.rate * factor

    return functools.partial(helper, o, factor=2.0), on(o, "rate")


@case(COMPILED)
def a_bound_method_and_a_lambda() -> Made:
    o = Config()
    method, square = o.scaled, (lambda x: x * o.rate)
    return lambda x: method(x) + square(x), on(o, "rate")


@case(COMPILED)
def a_method_of_a_class_and_a_static_one() -> Made:
    class Settings:
        rate = 1.0

        @classmethod
        def scaled(cls, x):
            return x * cls.rate

        @staticmethod
        def twice(x):
            return x * Settings.rate

    return lambda x: Settings.scaled(x) + Settings.twice(x), on(Settings, "rate")


@case(COMPILED)
def a_decorated_function() -> Made:
    o = Config()

    def by(config):
        def decorate(function):
            @functools.wraps(function)
            def inner(x):
                return function(x) * config.rate

            return inner

        return decorate

    @by(o)
    def helper(x):
        return x + 1

    return lambda x: helper(x), on(o, "rate")


@case(COMPILED)
def a_function_attribute() -> Made:
    def helper(x):
        return x * helper.rate

    helper.rate = 1.0
    return lambda x: helper(x), on(helper, "rate")


@case(COMPILED)
def a_generator_of_the_step() -> Made:
    o = Config()

    def parts(x):
        for factor in (1.0, o.rate):
            yield x * factor

    return lambda x: sum(parts(x)), on(o, "rate")


@case(COMPILED)
def a_comprehension() -> Made:
    kept = [Config(), Config()]
    return lambda x: sum([x * o.rate for o in kept]), on(kept[1], "rate")


@case(COMPILED)
def an_enum_and_a_branch() -> Made:
    class Mode(enum.Enum):
        ONE = 1
        TWO = 2

    o = types.SimpleNamespace(mode=Mode.ONE)

    def between(k):
        o.mode = Mode.ONE if k < 3 else Mode.TWO

    return lambda x: x * 2 if o.mode is Mode.TWO else x, between


@case(COMPILED)
def an_array() -> Made:
    weights = np.ones(3, np.float32)
    return lambda x: x * tg.tensor(weights), lambda k: weights.fill(halfway(k))


@case(COMPILED)
def buffers_and_c_numbers() -> Made:
    number, data = ctypes.c_double(1.0), bytearray(b"a")

    def between(k):
        number.value = halfway(k)
        data[0] = 97 + (k > 4)

    return lambda x: x * number.value + data[0], between


@case(COMPILED)
def a_context_variable() -> Made:
    return lambda x: x * CONTEXT.get(), lambda k: CONTEXT.set(halfway(k))


@case(COMPILED)
def thread_local_data_and_a_weak_reference() -> Made:
    local, o = threading.local(), Config()
    local.rate, reference = 1.0, weakref.ref(o)

    def between(k, keep=o):
        local.rate = halfway(k)
        keep.rate = halfway(k + 2)

    return lambda x: x * local.rate * reference().rate, between


@case(COMPILED)
def an_object_of_a_module() -> Made:
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.config, self.scales = Config(), [1.0]

        def forward(self, x):
            return x * self.config.rate * self.scales[0]

    model = nn.Sequential(Block())

    def between(k):
        model[0].config.rate = halfway(k)
        model[0].scales[0] = halfway(k + 2)

    return model, between


@case(COMPILED)
def what_a_forward_hook_reads() -> Made:
    model, o = nn.Sequential(nn.Identity()), Config()
    model[0].register_forward_hook(lambda module, args, out: out * o.rate)
    return model, on(o, "rate")


@case(COMPILED)
def a_compiled_function_inside() -> Made:
    o = Config()
    inner = tg.compile(lambda x: x * o.rate)
    return lambda x: inner(x) + 1, on(o, "rate")


@case(COMPILED)
def a_function_in_no_grad() -> Made:
    o = Config()

    @tg.no_grad()
    def helper(x):
        return x * o.rate

    return lambda x: helper(x), on(o, "rate")


@case(COMPILED)
def a_function_from_a_registry() -> Made:
    def make(o):
        return {"f": lambda x: x * o.rate}

    o = Config()
    registry = make(o)
    return lambda x: registry["f"](x), on(o, "rate")


@pytest.mark.parametrize("name", CASES[__name__])
def test_a_change_of_a_value_is_seen(name: str) -> None:
    check(CASES[__name__][name])
