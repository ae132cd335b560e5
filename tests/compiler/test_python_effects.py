"""Python values that a step changes: it runs in Python, with a warning."""

from __future__ import annotations

import collections
import functools
import types

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.compiler.steps import CASES, IN_PYTHON, Made, case, check, nothing
from tinygrad_mlp import nn, optim

TOTAL = 0


class Meter:
    """An object that counts."""

    made = 0

    def __init__(self) -> None:
        self.n, self.log, self.by_name = 0, [], collections.Counter()

    def tick(self) -> int:
        self.n += 1
        return self.n

    @property
    def next_number(self) -> int:
        return self.tick()


@case(IN_PYTHON)
def a_counter_in_a_function_that_is_called() -> Made:
    o = types.SimpleNamespace(n=0)

    def helper(x):
        o.n += 1
        return x * o.n

    return lambda x: helper(x), nothing


@case(IN_PYTHON)
def a_counter_of_an_argument_of_a_helper() -> Made:
    meter = Meter()

    def first(x, counter):
        return second(x, counter)

    def second(x, counter):
        counter.n += 1
        return x * counter.n

    return lambda x: first(x, meter), nothing


@case(IN_PYTHON)
def a_counter_in_a_method() -> Made:
    meter = Meter()
    return lambda x: x * meter.tick(), nothing


@case(IN_PYTHON)
def a_counter_in_a_property() -> Made:
    meter = Meter()
    return lambda x: x * meter.next_number, nothing


@case(IN_PYTHON)
def a_counter_of_a_bound_method() -> Made:
    tick = Meter().tick
    return lambda x: x * tick(), nothing


@case(IN_PYTHON)
def a_counter_of_a_partial() -> Made:
    def helper(counter, x):
        return x * counter.tick()

    return functools.partial(helper, Meter()), nothing


@case(IN_PYTHON)
def a_counter_of_a_class() -> Made:
    class Counting(Meter):
        made = 0

    def step(x):
        Counting.made += 1
        return x * Counting.made

    return step, nothing


@case(IN_PYTHON)
def a_counter_of_the_type_of_an_object() -> Made:
    class Counting(Meter):
        made = 0

    o = Counting()

    def step(x):
        type(o).made += 1
        return x * o.made

    return step, nothing


@case(IN_PYTHON)
def a_counter_that_is_set_by_name() -> Made:
    meter = Meter()

    def step(x):
        setattr(meter, "n", getattr(meter, "n") + 1)  # noqa: B009, B010
        return x * meter.n

    return step, nothing


@case(IN_PYTHON)
def a_counter_in_slots() -> Made:
    class Slim:
        __slots__ = ("n",)

    o = Slim()
    o.n = 0

    def step(x):
        o.n += 1
        return x * o.n

    return step, nothing


@case(IN_PYTHON)
def a_global_counter() -> Made:
    global TOTAL
    TOTAL = 0

    def helper():
        global TOTAL
        TOTAL += 1
        return TOTAL

    return lambda x: x * helper(), nothing


@case(IN_PYTHON)
def a_counter_in_a_closure() -> Made:
    def counting():
        count = 0

        def tick():
            nonlocal count
            count += 1
            return count

        return tick

    tick = counting()
    return lambda x: x * tick(), nothing


@case(IN_PYTHON)
def a_counter_in_a_closure_of_a_registry() -> Made:
    def counting():
        count = 0

        def tick():
            nonlocal count
            count += 1
            return count

        return {"tick": tick}

    meter = types.SimpleNamespace(functions=counting())
    return lambda x: x * meter.functions["tick"](), nothing


@case(IN_PYTHON)
def a_counter_in_a_nested_dict() -> Made:
    stats = {"a": {"n": 0}}

    def step(x):
        stats["a"]["n"] += 1
        return x * stats["a"]["n"]

    return step, nothing


@case(IN_PYTHON)
def a_list_that_grows() -> Made:
    history: list[int] = []

    def step(x):
        history.append(1)
        return x * len(history)

    return step, nothing


@case(IN_PYTHON)
def a_default_argument_that_grows() -> Made:
    def helper(x, seen=[]):  # noqa: B006
        seen.append(1)
        return x * len(seen)

    return lambda x: helper(x), nothing


@case(IN_PYTHON)
def a_counter_of_collections() -> Made:
    meter = Meter()

    def step(x):
        meter.by_name["a"] += 1
        return x * meter.by_name["a"]

    return step, nothing


@case(IN_PYTHON)
def a_queue_that_is_emptied() -> Made:
    queue = collections.deque(range(20))
    return lambda x: x * queue.popleft(), nothing


@case(IN_PYTHON)
def an_array_that_counts() -> Made:
    counts = np.zeros(2)

    def step(x):
        counts[0] += 1
        return x * float(counts[0])

    return step, nothing


@case(IN_PYTHON)
def a_flag_that_turns() -> Made:
    o = types.SimpleNamespace(up=False)

    def step(x):
        o.up = not o.up
        return x * 2 if o.up else x

    return step, nothing


@case(IN_PYTHON)
def a_counter_of_a_module() -> Made:
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x * self.calls

    return nn.Sequential(Block()), nothing


@case(IN_PYTHON)
def a_counter_in_a_hook() -> Made:
    model, calls = nn.Sequential(nn.Identity()), {"n": 0}

    def hook(module, args, out):
        calls["n"] += 1
        return out * calls["n"]

    model[0].register_forward_hook(hook)
    return model, nothing


@case(IN_PYTHON)
def a_counter_of_an_optimizer() -> Made:
    class Decaying(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        def step(self, closure=None):
            with tg.no_grad():
                for p in self.param_groups[0]["params"]:
                    state = self.state.setdefault(p, {"n": 0})
                    state["n"] += 1
                    p.sub_(p.grad / state["n"])

    w = nn.Parameter(tg.ones(3))
    optimizer = Decaying([w])
    optimizer.state[w] = {"n": 0}

    def step(x):
        optimizer.zero_grad()
        (x * w).sum().backward()
        optimizer.step()
        return w.detach().clone()

    return step, nothing


@case(IN_PYTHON)
def a_function_attribute_that_counts() -> Made:
    def helper(x):
        helper.calls += 1
        return x * helper.calls

    helper.calls = 0
    return lambda x: helper(x), nothing


@case(IN_PYTHON)
def an_iterator_of_the_user() -> Made:
    class Numbers:
        n = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.n += 1
            return self.n

    numbers = Numbers()
    numbers.n = 0
    return lambda x: x * next(numbers), nothing


@case(IN_PYTHON)
def an_attribute_that_keeps_an_argument() -> Made:
    o = types.SimpleNamespace(last=tg.ones(3))

    def step(x):
        total = x + o.last
        o.last = x
        return total

    return step, nothing


@pytest.mark.parametrize("name", CASES[__name__])
def test_an_effect_is_not_lost(name: str) -> None:
    check(CASES[__name__][name])


@pytest.mark.parametrize("container", [False, True])
def test_a_counter_among_the_arguments(container: bool) -> None:
    def step(x, count):
        if container:
            count["n"] += 1
            return x * count["n"]
        return x * count.tick()

    def results(run):
        count, found = {"n": 0} if container else Meter(), []
        for k in range(7):
            if container and k % 3 == 0:
                count["n"] = 0
            found.append(run(tg.ones(2), count).tolist())
        return found

    with pytest.warns(UserWarning, match=r"step changes .*n.*a Python variable, in .*\.py:\d+"):
        found = results(tg.compile(step))
    assert found == results(step)
