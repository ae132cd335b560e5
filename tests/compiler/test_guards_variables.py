"""Variables that a step uses: numbers, tensors, functions, containers and objects."""

from __future__ import annotations

import types

import pytest

import tinygrad_mlp as tg
from tests.compiler.training import Training, data

SCALE = 2.0


def test_numbers_in_closure_globals_and_arguments():
    global SCALE
    flag, offset = True, 1

    @tg.compile
    def step(x, power=2, *, negative=False):
        out = x**power * SCALE + offset
        return -out if negative else (out if flag else out * 0)

    x = tg.tensor([1.0, 2.0])
    assert step(x).tolist() == [3, 9]
    SCALE = 3.0
    assert step(x).tolist() == [4, 13]
    offset = 0
    assert step(x).tolist() == [3, 12]
    flag = False
    assert step(x).tolist() == [0, 0]
    flag = True
    assert step(x, 1).tolist() == [3, 6]
    assert step(x, power=1).tolist() == [3, 6]
    assert step(x, negative=True).tolist() == [-3, -12]
    SCALE, offset = 2.0, 1
    before = step.captures
    assert step(x).tolist() == [3, 9]
    assert step.captures == before


def test_equal_numbers_of_two_types_are_two_signatures():
    step = tg.compile(lambda x, k: x * k)
    x = tg.tensor([2])
    assert str(step(x, 1).dtype) == "int64"
    assert str(step(x, 1.0).dtype) == "float32"
    y = tg.tensor([2.0])
    assert str(step(y, 0.0).item()) == "0.0"
    assert str(step(y, -0.0).item()) == "-0.0"


def test_a_global_tensor_is_rebound_and_written_to():
    w = tg.tensor([1.0, 2.0])

    @tg.compile
    def step(x):
        return x * w

    x = tg.ones(2)
    assert step(x).tolist() == [1, 2]
    w.add_(1)
    assert step(x).tolist() == [2, 3]
    w = tg.tensor([5.0, 6.0])
    assert step(x).tolist() == [5, 6]


def test_an_attribute_is_not_taken_for_a_global_of_its_name(monkeypatch):
    training = Training(compiled=True)
    x, y = data()
    for k in range(12):  # as in a script: `for step in range(12): train_step(x, y)`
        monkeypatch.setitem(globals(), "step", k)
        training.step(x, y)
    assert training.step.captures == 1


def test_functions_that_the_step_calls():
    factor = 2.0

    def scaled(x):
        return x * factor

    @tg.compile
    def step(x):
        return scaled(x)

    x = tg.ones(2)
    assert step(x).tolist() == [2, 2]
    factor = 4.0
    assert step(x).tolist() == [4, 4]

    other = scaled
    scaled = tg.neg
    assert step(x).tolist() == [-1, -1]
    scaled = other
    assert step(x).tolist() == [4, 4]


def test_numbers_in_containers_objects_and_modules():
    config, rates, settings = {"scale": 2.0}, [1.0, 3.0], types.SimpleNamespace(power=1)
    constants = types.ModuleType("constants")
    constants.OFFSET = 0.0

    @tg.compile
    def step(x):
        return x**settings.power * config["scale"] * rates[1] + constants.OFFSET

    x = tg.tensor([2.0])
    step.function.__globals__["constants"] = constants
    try:
        step = tg.compile(step.function)
        assert step(x).item() == 12
        config["scale"] = 1.0
        assert step(x).item() == 6
        rates[1] = 5.0
        assert step(x).item() == 10
        settings.power = 2
        assert step(x).item() == 20
        constants.OFFSET = 1.0
        assert step(x).item() == 21
        rates.pop()
        with pytest.raises(IndexError):
            step(x)
    finally:
        del step.function.__globals__["constants"]


def test_containers_grow_and_shrink():
    factors, shifts = [2.0], {"a": 1.0}

    @tg.compile
    def step(x):
        for factor in factors:
            x = x * factor
        for shift in shifts.values():
            x = x + shift
        return x

    x = tg.ones(3)
    assert step(x).tolist() == step(x).tolist() == [3.0] * 3
    factors.append(3.0)
    assert step(x).tolist() == step(x).tolist() == [7.0] * 3
    shifts["b"] = 2.0
    assert step(x).tolist() == step(x).tolist() == [9.0] * 3
    factors.clear()
    assert step(x).tolist() == step(x).tolist() == [4.0] * 3


def test_a_variable_that_the_step_changes_warns():
    count = 0

    @tg.compile
    def step(x):
        nonlocal count
        count += 1
        return x + 1

    with pytest.warns(UserWarning, match="step changes count"):
        step(tg.ones(1))
    assert step(tg.ones(1)).item() == 2
