"""Python values that a step reads, at any depth: a change between two calls is seen."""

from __future__ import annotations

import collections
import dataclasses
import operator
import types

import pytest

from tests.compiler.steps import CASES, COMPILED, Config, Made, case, check, halfway, on

RATE = 1.0
TABLE = {"a": [1.0, 2.0]}


@case(COMPILED)
def an_attribute() -> Made:
    o = Config()
    return lambda x: x * o.rate, on(o, "rate")


@case(COMPILED)
def an_attribute_in_a_method() -> Made:
    o = Config()
    return lambda x: o.scaled(x), on(o, "rate")


@case(COMPILED)
def three_calls_deep() -> Made:
    o = Config()

    def first(x):
        return second(x, o)

    def second(x, config):
        return third(config) * x

    def third(config):
        return config.rate

    return lambda x: first(x), on(o, "rate")


@case(COMPILED)
def a_property() -> Made:
    o = Config()
    return lambda x: x * o.double, on(o, "rate")


@case(COMPILED)
def a_class_attribute() -> Made:
    class Settings(Config):
        pass

    o = Settings()
    return lambda x: x * o.shared, on(Settings, "shared")


@case(COMPILED)
def a_class_attribute_that_an_object_overrides() -> Made:
    o = Config()

    def between(k):
        if k == 3:
            o.shared = 5.0

    return lambda x: x * o.shared, between


@case(COMPILED)
def an_item_by_a_method() -> Made:
    o = Config()
    return lambda x: x * o["n"], lambda k: o.hidden.update(n=halfway(k))


@case(COMPILED)
def getattr_of_a_missing_name() -> Made:
    o = Config()
    return lambda x: x * o.dynamic_n, lambda k: o.hidden.update(n=halfway(k))


@case(COMPILED)
def an_attribute_by_its_name() -> Made:
    o = Config()
    return lambda x: x * getattr(o, "rate"), on(o, "rate")  # noqa: B009


@case(COMPILED)
def an_attribute_that_may_be_missing() -> Made:
    o = types.SimpleNamespace()

    def between(k):
        if k == 3:
            o.late = 4.0

    return lambda x: x * getattr(o, "late", 1.0), between


@case(COMPILED)
def an_attribute_by_a_getter() -> Made:
    o, rate = Config(), operator.attrgetter("rate")
    return lambda x: x * rate(o), on(o, "rate")


@case(COMPILED)
def an_attribute_by_a_computed_name() -> Made:
    o = Config()
    return lambda x: x * getattr(o, "ra" + str("te")), on(o, "rate")  # noqa: UP018


@case(COMPILED)
def an_attribute_by_vars() -> Made:
    o = Config()
    return lambda x: x * vars(o)["rate"] + o.__dict__["rate"], on(o, "rate")


@case(COMPILED)
def a_nested_object() -> Made:
    o = Config()
    o.inner = Config()
    return lambda x: x * o.inner.rate, on(o.inner, "rate")


@case(COMPILED)
def an_object_that_is_replaced() -> Made:
    o = Config()
    o.inner = Config()
    return lambda x: x * o.inner.rate, lambda k: k == 3 and setattr(o, "inner", Config(5.0))


@case(COMPILED)
def slots() -> Made:
    class Slim:
        __slots__ = ("rate",)

    o = Slim()
    return lambda x: x * o.rate, on(o, "rate")


@case(COMPILED)
def a_dataclass() -> Made:
    @dataclasses.dataclass
    class Settings:
        rate: float = 1.0
        scale: float = dataclasses.field(default=2.0)

    o = Settings()
    return lambda x: x * o.rate * o.scale, on(o, "scale")


@case(COMPILED)
def a_frozen_dataclass_in_a_list() -> Made:
    @dataclasses.dataclass(frozen=True)
    class Settings:
        rate: float = 1.0

    kept = [Settings()]
    return lambda x: x * kept[0].rate, lambda k: k == 3 and kept.__setitem__(0, Settings(5.0))


@case(COMPILED)
def a_nested_container() -> Made:
    o = {"a": [{"b": (1.0, [1.0])}]}
    return lambda x: x * o["a"][0]["b"][1][0], lambda k: o["a"][0]["b"][1].__setitem__(
        0, halfway(k)
    )


@case(COMPILED)
def a_dict_of_a_function_that_is_called() -> Made:
    config = {"rate": 1.0}

    def helper(x):
        return x * config.get("rate", 0.0)

    return lambda x: helper(x), lambda k: config.update(rate=halfway(k))


@case(COMPILED)
def the_order_of_a_dict() -> Made:
    config = {"a": 2.0, "b": 3.0}

    def step(x):
        for value in config.values():
            x = x * value + value
        return x

    def between(k):
        if k == 3:
            config["a"] = config.pop("a")

    return step, between


@case(COMPILED)
def a_long_list() -> Made:
    table = [float(k) for k in range(500)]
    return lambda x: x * table[400], lambda k: table.__setitem__(400, halfway(k))


@case(COMPILED)
def a_set() -> Made:
    found = {1, 2}
    return lambda x: x * (2.0 if 3 in found else 1.0), lambda k: found.add(k)


@case(COMPILED)
def a_deque_and_a_counter() -> Made:
    recent, counts = collections.deque([1.0], maxlen=3), collections.Counter({"a": 1})

    def between(k):
        if k == 3:
            recent.append(2.0)
            counts.update("aab")

    return lambda x: x * sum(recent) + counts["a"], between


@case(COMPILED)
def a_global_of_a_function_that_is_called() -> Made:
    def change(k):
        global RATE
        RATE = halfway(k)

    def helper(x):
        return x * RATE

    return lambda x: helper(x), change


@case(COMPILED)
def a_global_by_its_name() -> Made:
    def change(k):
        global RATE
        RATE = halfway(k)

    return lambda x: x * globals()["RATE"], change


@case(COMPILED)
def a_module_attribute_that_is_imported_inside() -> Made:
    def step(x):
        from tests.compiler import test_python_values

        return x * test_python_values.TABLE["a"][1]

    return step, lambda k: TABLE["a"].__setitem__(1, halfway(k))


@pytest.mark.parametrize("name", CASES[__name__])
def test_a_change_of_a_value_is_seen(name: str) -> None:
    check(CASES[__name__][name])
