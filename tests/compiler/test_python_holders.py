"""Values that hold others: views, records, groups, schedulers, hooks, threads, arguments."""

from __future__ import annotations

import collections
import concurrent.futures
import enum
import threading
import types

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.compiler.steps import CASES, COMPILED, REFUSED, Made, case, check, halfway, nothing
from tinygrad_mlp import nn, optim


class Base:
    def go(self):
        return 1.0


def once(change) -> object:
    return lambda k: change() if k == 3 else None


# --- values that hold others ---


@case(COMPILED)
def views_of_a_dict() -> Made:
    rates = {"a": 1.0}
    proxy, values = types.MappingProxyType(rates), rates.values()
    return lambda x: x * proxy["a"] + sum(values), lambda k: rates.update(a=halfway(k))


@case(COMPILED)
def attributes_of_numbers() -> Made:
    class Rate(float):
        scale = 1.0

    class Mode(enum.IntEnum):
        A = 1

    rate = Rate(2.0)
    rate.scale = Mode.A.scale = 1.0

    def between(k):
        rate.scale, Mode.A.scale = halfway(k), halfway(k + 2)

    return lambda x: x * rate * rate.scale * Mode.A.scale, between


@case(COMPILED)
def the_shape_of_an_array_and_a_record() -> Made:
    array, record = np.zeros((2, 6)), np.zeros(1, dtype=[("rate", "f8")])[0]

    def between(k):
        array.shape = (2, 6) if k < 3 else (3, 4)
        record["rate"] = halfway(k + 1)

    return lambda x: x * array.shape[0] * float(record["rate"]), between


# --- what this package holds ---


@case(COMPILED)
def a_group_of_an_optimizer() -> Made:
    optimizer = optim.SGD([nn.Parameter(tg.ones(3))], lr=0.1)
    group = optimizer.param_groups[0]
    return lambda x: x * group["rate"], lambda k: group.update(rate=halfway(k))


@case(COMPILED)
def the_rate_of_a_scheduler() -> Made:
    optimizer = optim.SGD([nn.Parameter(tg.ones(3))], lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 4, 0.5)

    def between(k):
        optimizer.step()
        scheduler.step()

    return lambda x: x * scheduler.get_last_lr()[0], once(lambda: [between(k) for k in range(5)])


@case(COMPILED)
def whether_a_tensor_has_a_gradient() -> Made:
    w = tg.ones(3).requires_grad_()
    return (
        lambda x: x * (1.0 if w.grad is None else 2.0),
        once(lambda: setattr(w, "grad", tg.ones(3))),
    )


@case(COMPILED)
def a_hook_of_a_tensor() -> Made:
    w = nn.Parameter(tg.ones(3))
    handles = []

    def between(k):
        if k == 3:
            handles.append(w.register_hook(lambda gradient: gradient * 2))
        if k == 5:
            handles.pop().remove()

    def step(x):
        w.grad = None
        (w * x).sum().backward()
        return w.grad * 1

    return step, between


@case(COMPILED)
def the_parameters_of_a_group() -> Made:
    a, b = nn.Parameter(tg.ones(3)), nn.Parameter(tg.ones(3))
    optimizer = optim.SGD([a, b], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = (a * b * x).sum()
        loss.backward()
        optimizer.step()
        return a * b

    return step, once(lambda: optimizer.param_groups[0]["params"].pop())


@case(COMPILED)
def the_step_of_an_optimizer() -> Made:
    w = nn.Parameter(tg.ones(3))
    optimizer = optim.SGD([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return w * 1

    return step, once(lambda: setattr(optimizer, "step", lambda: None))


# --- other threads ---


@case(REFUSED)
def a_thread_that_the_step_starts() -> Made:
    o = Base()

    def step(x):
        thread = threading.Thread(target=o.go)
        thread.start()
        thread.join()
        return x

    return step, nothing


@case(REFUSED)
def a_pool_of_threads() -> Made:
    pool = concurrent.futures.ThreadPoolExecutor(1)
    o = Base()
    return lambda x: x * pool.submit(o.go).result(), nothing


@pytest.mark.parametrize("name", CASES[__name__])
def test_a_value_in_a_holder(name: str) -> None:
    check(CASES[__name__][name])


@pytest.mark.parametrize(
    ("value", "size", "grow"),
    [
        ({1}, len, lambda value, k: value.add(k // 3)),
        (collections.deque([1]), len, lambda value, k: value.append(k) if k == 3 else None),
        (bytearray(b"a"), sum, lambda value, k: value.append(k) if k == 3 else None),
        ([{1}], lambda value: len(value[0]), lambda value, k: value[0].add(k // 3)),
    ],
    ids=["set", "deque", "bytearray", "list of a set"],
)
def test_an_argument_that_changes_in_place(value, size, grow) -> None:
    step = tg.compile(lambda x, v: x * size(v))
    for k in range(7):
        grow(value, k)
        assert step(tg.ones(2), value).tolist() == [float(size(value))] * 2
    assert 2 <= step.captures <= 3


def test_equal_slices_and_ranges_are_one_argument() -> None:
    step = tg.compile(lambda x, s, r: x[s] * len(r))
    for k in range(6):
        end = 2 if k < 3 else 3
        assert step(tg.ones(4), slice(0, end), range(end)).tolist() == [float(end)] * end
    assert step.captures == 2
