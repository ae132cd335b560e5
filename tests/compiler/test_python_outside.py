"""Iterators, random numbers, clocks and files in a step: it refuses, and names the line."""

from __future__ import annotations

import datetime
import functools
import gc
import itertools
import os
import random
import secrets
import time
import types
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter as now
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.compiler.steps import CASES, REFUSED, Made, case, check, nothing

GENERATOR = np.random.default_rng(0)


@case(REFUSED)
def a_count_of_itertools() -> Made:
    numbers = itertools.count()
    return lambda x: x * next(numbers), nothing


@case(REFUSED)
def a_generator_made_before() -> Made:
    numbers = (k for k in range(50))

    def helper():
        return next(numbers)

    return lambda x: x * helper(), nothing


@case(REFUSED)
def an_iterator_in_an_object() -> Made:
    o = types.SimpleNamespace(batches=iter([1.0] * 50))

    def step(x):
        for factor in o.batches:
            return x * factor
        return x

    return step, nothing


@case(REFUSED)
def a_zip_in_a_dict() -> Made:
    o = {"pairs": zip(itertools.cycle([1.0]), itertools.count(), strict=False)}
    return lambda x: x * next(o["pairs"])[1], nothing


@case(REFUSED)
def the_next_method_of_an_iterator() -> Made:
    tick = itertools.count(1).__next__
    return lambda x: x * tick(), nothing


@case(REFUSED)
def next_in_a_partial() -> Made:
    tick = functools.partial(next, itertools.count(1))
    return lambda x: x * tick(), nothing


@case(REFUSED)
def a_clock_by_another_name() -> Made:
    return lambda x: x * now(), nothing


@case(REFUSED)
def a_module_that_is_imported_inside() -> Made:
    def step(x):
        import random as numbers

        return x * numbers.random()

    return step, nothing


@case(REFUSED)
def a_list_that_is_shuffled() -> Made:
    values = [1.0, 2.0, 3.0]

    def step(x):
        random.shuffle(values)
        return x * values[0]

    return step, nothing


@case(REFUSED)
def a_method_of_a_generator() -> Made:
    draw = np.random.default_rng(0).random
    return lambda x: x * draw(), nothing


@case(REFUSED)
def a_generator_in_an_object() -> Made:
    o = types.SimpleNamespace(generator=np.random.default_rng(0))
    return lambda x: x * o.generator.random(), nothing


@pytest.fixture(autouse=True)
def global_generator() -> Iterator[None]:
    """Put back the state of NumPy's global generator."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


def refuses(read: Any) -> None:
    """Add a case that multiplies by a number from outside, three calls deep."""

    def make() -> Made:
        def inner():
            return read()

        def helper(x):
            return x * (float(inner()) + 1)

        return lambda x: helper(x), nothing

    make.__name__ = f"outside_{len(CASES.get(__name__, ()))}"
    case(REFUSED)(make)


def length_of_this_file() -> int:
    with open(__file__, encoding="utf-8") as file:
        return len(file.read())


OWN = random.Random(0)
for number in (
    lambda: random.randint(0, 9),
    lambda: random.random(),
    lambda: random.choice([1, 2]),
    lambda: OWN.gauss(0, 1),
    lambda: np.random.rand(),  # noqa: NPY002
    lambda: np.random.randint(9),  # noqa: NPY002
    lambda: GENERATOR.normal(),
    lambda: np.random.default_rng().random(),
    lambda: time.time(),
    lambda: time.perf_counter_ns(),
    lambda: datetime.datetime.now().second,
    lambda: datetime.date.today().day,
    lambda: len(os.environ.get("HOME", "")),
    lambda: len(os.getenv("HOME") or ""),
    lambda: "HOME" in os.environ,
    lambda: os.urandom(1)[0],
    lambda: uuid.uuid4().int % 9,
    lambda: secrets.randbelow(9),
    lambda: length_of_this_file(),
    lambda: len(Path(__file__).read_text(encoding="utf-8")),
    lambda: os.path.exists(__file__),
):
    refuses(number)


def test_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    step = tg.compile(lambda x: x * float(input()))
    with pytest.raises(tg.CaptureError, match=r"input\(\) reads the keyboard, in <lambda>, .*\.py"):
        step(tg.ones(1))


def test_a_refusal_that_the_step_suppresses_is_raised() -> None:
    def step(x):
        try:
            return x * random.random()
        except RuntimeError:
            return x

    for _ in range(2):
        with pytest.raises(tg.CaptureError, match="random"):
            tg.compile(step)(tg.ones(1))


@pytest.mark.parametrize("name", CASES[__name__])
def test_a_value_from_outside_is_refused(name: str) -> None:
    check(CASES[__name__][name])


@pytest.mark.parametrize("make", [lambda: iter([1.0, 2.0]), lambda: (k for k in range(9))])
def test_an_iterator_among_the_arguments_is_refused(make: Any) -> None:
    step = tg.compile(lambda x, numbers: x * next(numbers))
    with pytest.raises(tg.CaptureError, match=r"iterator.*in <lambda>, .*Call next\(\) outside"):
        step(tg.ones(1), make())


def test_callbacks_of_the_garbage_collector_are_not_of_the_step() -> None:
    times = []

    class Finalized:
        def __del__(self) -> None:
            time.time()

    def callback(phase: str, info: object) -> None:
        times.append(time.time())

    def step(x):
        found = [Finalized()]
        found.append(found)
        del found
        gc.collect()
        return x + 1

    gc.callbacks.append(callback)
    try:
        assert tg.compile(step)(tg.ones(1)).item() == 2
    finally:
        gc.callbacks.remove(callback)
    assert len(times) >= 2


def test_a_file_that_was_opened_before_the_step(tmp_path) -> None:
    """Each step would read its first line again."""
    path = tmp_path / "numbers.txt"
    path.write_text("1\n2\n3\n")
    with path.open() as file:

        @tg.compile
        def step(x):
            return x * float(file.readline())

        with pytest.raises(tg.CaptureError, match=r"uses file, an iterator \(TextIOWrapper\) made"):
            step(tg.ones(1))
