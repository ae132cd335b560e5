"""Python state in unusual places: bound methods of built-in types, caches, text, attributes."""

from __future__ import annotations

import array
import collections
import contextlib
import contextvars
import dataclasses
import functools
import heapq
import queue
import sys
import threading
import types
import weakref

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.compiler.steps import CASES, COMPILED, IN_PYTHON, Made, case, check, halfway, nothing, on
from tinygrad_mlp import nn, optim

TOTAL = 0
CONTEXT: contextvars.ContextVar[int] = contextvars.ContextVar("count", default=0)


class Base:
    n = 0

    def tick(self):
        self.n += 1
        return self.n


class Derived(Base):
    log: list[int] = []

    def tick(self):
        return super().tick()

    @property
    def value(self):
        return self.__dict__.get("n", 0)

    @value.setter
    def value(self, number):
        self.__dict__["n"] = number

    def __call__(self, x):
        return x * self.tick()


# --- what the step changes ---


@case(IN_PYTHON)
def a_counter_by_super() -> Made:
    o = Derived()
    return lambda x: x * o.tick(), nothing


@case(IN_PYTHON)
def a_counter_of_an_object_that_is_called() -> Made:
    o = Derived()
    return lambda x: o(x), nothing


@case(IN_PYTHON)
def a_setter_of_a_property() -> Made:
    o = Derived()

    def step(x):
        o.value = o.value + 1
        return x * o.value

    return step, nothing


@case(IN_PYTHON)
def a_list_of_a_class() -> Made:
    class Logged(Derived):
        log: list[int] = []

    o = Logged()

    def step(x):
        o.log.append(1)
        return x * len(Logged.log)

    return step, nothing


@case(IN_PYTHON)
def the_dict_of_an_object() -> Made:
    o = Base()

    def step(x):
        vars(o).update(n=o.n + 1)
        o.__dict__["n"] += 1
        return x * o.n

    return step, nothing


@case(IN_PYTHON)
def the_dict_of_globals() -> Made:
    global TOTAL
    TOTAL = 0

    def step(x):
        globals()["TOTAL"] += 1
        return x * TOTAL

    return step, nothing


@case(IN_PYTHON)
def bound_methods_of_a_list() -> Made:
    kept: list[int] = []
    append, size = kept.append, kept.__len__

    def step(x):
        append(1)
        return x * size()

    return step, nothing


@case(IN_PYTHON)
def a_context_variable_and_thread_local_data() -> Made:
    CONTEXT.set(0)
    local = threading.local()
    local.n = 0

    def step(x):
        CONTEXT.set(CONTEXT.get() + 1)
        local.n += 1
        return x * CONTEXT.get() * local.n

    return step, nothing


@case(IN_PYTHON)
def a_queue() -> Made:
    waiting: queue.Queue[int] = queue.Queue()
    for k in range(20):
        waiting.put(k)
    return lambda x: x * waiting.get(), nothing


@case(IN_PYTHON)
def a_heap_and_a_set() -> Made:
    heap, found = list(range(20)), set(range(20))
    return lambda x: x * heapq.heappop(heap) + found.pop(), nothing


@case(IN_PYTHON)
def a_dict_class_of_python() -> Made:
    stats = collections.UserDict(n=0)

    def step(x):
        stats["n"] += 1
        return x * stats["n"]

    return step, nothing


@case(IN_PYTHON)
def arrays_of_python_and_numpy() -> Made:
    numbers, zero_d = array.array("d", [0.0]), np.zeros(())

    def step(x):
        numbers[0] += 1
        zero_d[...] = zero_d + 1
        return x * numbers[0] * float(zero_d)

    return step, nothing


@case(IN_PYTHON)
def an_attribute_of_a_tensor() -> Made:
    w = nn.Parameter(tg.ones(3))
    w.calls = 0

    def step(x):
        w.calls += 1
        return x * w.calls

    return step, nothing


@case(IN_PYTHON)
def attributes_of_a_layer_and_an_optimizer() -> Made:
    layer = nn.Linear(3, 3)
    optimizer = optim.SGD(layer.parameters(), 0.1)
    layer.n = optimizer.n = 0

    def step(x):
        layer.n += 1
        optimizer.n += 1
        return x * layer.n * optimizer.n

    return step, nothing


@case(IN_PYTHON)
def an_attribute_of_a_computed_name() -> Made:
    o = types.SimpleNamespace(n_1=0)

    def step(x):
        name = f"n_{len(x.shape)}"
        setattr(o, name, getattr(o, name) + 1)
        return x * getattr(o, name)

    return step, nothing


@case(IN_PYTHON)
def a_context_manager_and_an_exception() -> Made:
    o = Base()

    @contextlib.contextmanager
    def counted():
        o.n += 1
        yield o.n

    def step(x):
        with counted() as n:
            try:
                raise ValueError
            except ValueError:
                o.n += 1
            return x * n * o.n

    return step, nothing


@case(IN_PYTHON)
def a_metaclass_and_a_descriptor() -> Made:
    class Meta(type):
        count = 0

        def bump(cls):
            Meta.count += 1
            return Meta.count

    class Number:
        def __init__(self):
            self.n = 0

        def __get__(self, owner, kind):
            self.n += 1
            return self.n

    class Holder(metaclass=Meta):
        number = Number()

    o = Holder()
    return lambda x: x * Holder.bump() * o.number, nothing


# --- what changes between two calls ---


@case(COMPILED)
def a_module_by_text(name: str = "a_module_of_numbers") -> Made:
    module = sys.modules[name] = types.ModuleType(name)
    module.rate = 1.0
    return lambda x: x * sys.modules["a_module_of_numbers"].rate, on(module, "rate")


@case(COMPILED)
def dict_classes_of_python() -> Made:
    stats, defaults = collections.UserDict(n=1.0), {"m": 1.0}
    chain = collections.ChainMap({}, defaults)

    def between(k):
        stats["n"] = halfway(k)
        defaults["m"] = halfway(k + 1)

    return lambda x: x * stats["n"] * chain["m"], between


@case(COMPILED)
def a_view_of_an_array() -> Made:
    base = np.ones((3, 4))
    row = base[1]
    return lambda x: x * float(row[2]), lambda k: base.fill(halfway(k))


@case(COMPILED)
def a_weak_dict_and_an_attribute_of_a_tensor() -> Made:
    w, o = nn.Parameter(tg.ones(3)), Base()
    rates = weakref.WeakKeyDictionary({o: 1.0})

    def between(k, keep=o):
        rates[keep], w.rate = halfway(k), halfway(k + 2)

    return lambda x: x * w.detach() * w.rate * rates[o], between


@case(COMPILED)
def an_attribute_that_is_deleted() -> Made:
    o = types.SimpleNamespace(n=3.0)

    def between(k):
        if k == 3:
            del o.n

    return lambda x: x * (o.n if hasattr(o, "n") else 7.0), between


@case(COMPILED)
def a_method_and_a_dict_that_are_replaced() -> Made:
    class Holder:
        def go(self):
            return self.n

    o = Holder()
    o.n = 1.0

    def between(k):
        if k == 3:
            Holder.go = lambda self: self.n + 5
        if k == 5:
            o.__dict__ = {"n": 8.0}

    return lambda x: x * o.go(), between


@case(COMPILED)
def fields_of_a_dataclass_as_a_dict() -> Made:
    @dataclasses.dataclass
    class Config:
        rate: float = 1.0

    config = Config()
    return lambda x: x * dataclasses.asdict(config)["rate"], on(config, "rate")


@case(COMPILED)
def a_tensor_that_is_rebound_and_written() -> Made:
    o = types.SimpleNamespace(w=tg.ones(3))

    def between(k):
        if k == 3:
            o.w = tg.tensor([5.0, 6.0, 7.0])
        if k == 5:
            o.w.add_(1)

    def helper(x):
        return x * o.w

    return lambda x: helper(x), between


@case(COMPILED)
def a_key_function_and_a_reduction() -> Made:
    o = types.SimpleNamespace(n=1)

    def step(x):
        first = sorted([3, 1, 2], key=lambda v: v * o.n)[0]
        return x * functools.reduce(lambda a, b: a + b * o.n, [1, 2, 3]) * first

    return step, lambda k: setattr(o, "n", 1 if k < 3 else -1)


@pytest.mark.parametrize("name", CASES[__name__])
def test_state_in_an_unusual_place(name: str) -> None:
    check(CASES[__name__][name])


def test_a_cache_that_is_cleared() -> None:
    """A call that fills the cache counts, and runs in Python; the calls after it do not."""
    found = []
    for compiled in (False, True):
        o = Base()
        cached = functools.lru_cache(lambda k, o=o: o.tick())
        step = (
            tg.compile(lambda x, f=cached: x * f(1)) if compiled else lambda x, f=cached: x * f(1)
        )
        results = []
        with pytest.warns(UserWarning, match="changes") if compiled else contextlib.nullcontext():
            for k in range(9):
                if k % 3 == 0:
                    cached.cache_clear()
                results.append(step(tg.ones(1)).item())
        found.append(results)
    assert found[0] == found[1] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
