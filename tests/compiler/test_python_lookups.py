"""Where Python looks for a name: what a class, an object, a module or a function lacks or replaces.

A name that is added to a place that is searched first hides what was found at the capture.
"""

from __future__ import annotations

import sys
import types

import pytest

from tests.compiler.steps import CASES, COMPILED, IN_PYTHON, Made, case, check, halfway, nothing, on
from tinygrad_mlp import nn


class Base:
    rate = 1.0

    def go(self):
        return self.rate


class Other:
    rate = 1.0

    def go(self):
        return 5.0


def once(change) -> object:
    return lambda k: change() if k == 3 else None


# --- names that appear ---


@case(COMPILED)
def a_class_attribute_that_hides_that_of_the_base() -> Made:
    class Derived(Base):
        pass

    o = Derived()
    return lambda x: x * o.rate + Derived.rate, once(lambda: setattr(Derived, "rate", 7.0))


@case(COMPILED)
def a_method_that_hides_that_of_the_base() -> Made:
    class Derived(Base):
        pass

    o = Derived()
    return lambda x: x * o.go(), once(lambda: setattr(Derived, "go", lambda self: 7.0))


@case(COMPILED)
def a_method_that_an_object_replaces() -> Made:
    o = Base()
    return lambda x: x * o.go(), once(lambda: setattr(o, "go", lambda: 9.0))


@case(COMPILED)
def an_attribute_that_was_not_there() -> Made:
    o = types.SimpleNamespace()

    def step(x):
        try:
            return x * o.rate
        except AttributeError:
            return x

    return step, once(lambda: setattr(o, "rate", 4.0))


@case(COMPILED)
def an_attribute_that_getattr_gave() -> Made:
    class Dynamic:
        def __getattr__(self, name):
            return 1.0

    o = Dynamic()
    return lambda x: x * o.rate, once(lambda: setattr(o, "rate", 4.0))


@case(COMPILED)
def an_attribute_of_a_computed_name_that_was_not_there() -> Made:
    o = types.SimpleNamespace()
    return (
        lambda x: x * getattr(o, f"n_{len(x.shape)}", 1.0),
        once(lambda: setattr(o, "n_1", 4.0)),
    )


@case(COMPILED)
def a_global_variable_that_was_not_there() -> Made:
    globals().pop("LATER", None)

    def step(x):
        try:
            return x * LATER
        except NameError:
            return x

    return step, once(lambda: globals().update(LATER=4.0))


@case(COMPILED)
def a_builtin_that_a_module_replaces() -> Made:
    globals().pop("abs", None)

    def between(k):
        if k == 3:
            globals()["abs"] = lambda value: 11
        if k == 6:
            del globals()["abs"]

    return lambda x: x * abs(-2), between


@case(COMPILED)
def a_variable_of_a_module_that_was_not_there() -> Made:
    module = sys.modules["a_module_of_flags"] = types.ModuleType("a_module_of_flags")
    return (
        lambda x: x * (module.debug if hasattr(module, "debug") else 1.0),
        once(lambda: setattr(module, "debug", 4.0)),
    )


@case(COMPILED)
def a_variable_of_a_module_by_a_computed_name() -> Made:
    module = types.ModuleType("a_module_of_rates")
    module.RATE_1 = 1.0
    return lambda x: x * getattr(module, f"RATE_{len(x.shape)}"), on(module, "RATE_1")


@case(IN_PYTHON)
def a_counter_that_starts_in_the_base() -> Made:
    class Counted:
        n = 0

    class Derived(Counted):
        def tick(self):
            type(self).n += 1
            return type(self).n

    o = Derived()
    return lambda x: x * o.tick(), nothing


# --- what a class is ---


@case(COMPILED)
def the_class_of_an_object() -> Made:
    o = Base()
    return (
        lambda x: x * o.go() + isinstance(o, Other),
        once(lambda: setattr(o, "__class__", Other)),
    )


@case(COMPILED)
def the_bases_of_a_class() -> Made:
    class Derived(Base):
        pass

    o = Derived()
    return lambda x: x * o.go(), once(lambda: setattr(Derived, "__bases__", (Other,)))


@case(COMPILED)
def an_operator_of_a_class() -> Made:
    class Sized:
        def __len__(self):
            return 2

    o = Sized()
    return lambda x: x * len(o), once(lambda: setattr(Sized, "__len__", lambda self: 5))


@case(COMPILED)
def the_forward_of_a_class_of_modules() -> Made:
    class Scale(nn.Module):
        def forward(self, x):
            return x * 1

    model = nn.Sequential(Scale())
    return lambda x: model(x), once(lambda: setattr(Scale, "forward", lambda self, x: x * 5))


@case(COMPILED)
def an_attribute_of_a_metaclass() -> Made:
    class Meta(type):
        rate = 1.0

    class Holder(metaclass=Meta):
        pass

    return lambda x: x * Holder.rate, on(Meta, "rate")


@case(COMPILED)
def attributes_of_a_class_by_computed_names() -> Made:
    class Config:
        rate_1 = rate_2 = 1.0

    def between(k):
        Config.rate_1, Config.rate_2 = halfway(k), halfway(k + 2)

    def step(x):
        n = len(x.shape)
        return x * getattr(Config, f"rate_{n}") * vars(Config)[f"rate_{n + 1}"]

    return step, between


@case(COMPILED)
def slots() -> Made:
    class Text:
        __slots__ = "rate"

    class Private:
        __slots__ = ("__rate", "n_1")

        def set(self, rate):
            self.__rate = self.n_1 = rate

        def get(self, n):
            return self.__rate * getattr(self, f"n_{n}")

    o, p = Text(), Private()

    def between(k):
        o.rate = halfway(k)
        p.set(halfway(k + 2))

    return lambda x: x * o.rate * p.get(len(x.shape)), between


# --- functions ---


@case(COMPILED)
def defaults_and_code_of_functions() -> Made:
    def scaled(x, rate=1.0, *, power=1.0):
        return x * rate + power

    def other(x, rate=1.0, *, power=1.0):
        return x * rate - power

    def between(k):
        scaled.__defaults__ = (halfway(k),)
        scaled.__kwdefaults__ = {"power": halfway(k + 1)}
        if k == 5:
            scaled.__code__ = other.__code__

    return lambda x: scaled(x), between


@pytest.mark.parametrize("name", CASES[__name__])
def test_the_place_of_a_name(name: str) -> None:
    check(CASES[__name__][name])
