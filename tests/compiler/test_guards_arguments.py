"""Arguments: arrays, views, containers, shared memory, and those that are refused."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn


def test_arrays_of_all_kinds():
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    readonly = base.copy()
    readonly.flags.writeable = False
    for array in (base, base.T, base[::2, ::-1], readonly, np.asfortranarray(base), base[:, 1]):
        step = tg.compile(lambda x: x * 2 + 1)
        for value in (array, array.copy(), array):
            assert step(value).tolist() == (array * 2 + 1).tolist()
        for shift in (1, 2):
            other = np.array(array + shift, order="K")
            assert step(other).tolist() == (other * 2 + 1).tolist()


def test_views_and_tensors_that_share_memory():
    step = tg.compile(lambda x, y: x * 10 + y)
    base = tg.tensor(np.arange(12, dtype=np.float32))
    pairs = [
        (base[0:4], base[4:8]),
        (base[4:8], base[8:12]),
        (base[0:4], base[0:4]),
        (base[2:6], base[2:6]),
        (base[8:12], base[0:4]),
        (base[0:4].clone(), base[4:8]),
    ]
    x = base[0:4]
    for one, two in (*pairs, (x, x), *pairs):
        assert step(one, two).tolist() == (one.numpy() * 10 + two.numpy()).tolist()


def test_arguments_in_containers():
    Pair = namedtuple("Pair", "x y")

    @tg.compile
    def step(pair, more):
        return pair.x - pair.y + more["z"][0]

    for k in range(3):
        x, y, z = (tg.tensor([float(k + j)]) for j in (1, 10, 100))
        assert step(Pair(x, y), {"z": [z]}).item() == k - 9 + 100
        assert step(Pair(x.numpy(), y), {"z": [z]}).item() == k - 9 + 100
    assert step.captures == 2


def test_an_argument_that_is_also_a_variable_of_the_function():
    w = nn.Parameter(tg.ones(2))

    @tg.compile
    def step(p):
        return p * w

    other = nn.Parameter(tg.ones(2) * 3)
    assert step(w).tolist() == [1, 1]
    assert step(other).tolist() == [3, 3]
    with tg.no_grad():
        w.mul_(2)
    assert step(w).tolist() == [4, 4]
    assert step(other).tolist() == [6, 6]


def test_an_argument_that_aliases_another_tensor_is_refused():
    base = tg.ones(4)
    view = base[:2]
    kept = [view]

    @tg.compile
    def step(x):
        return x + kept[0].sum()

    with pytest.raises(tg.CaptureError, match="through another tensor too"):
        step(base)


def test_an_argument_that_aliases_written_state_is_refused_in_later_calls():
    weight = tg.ones(4)

    @tg.compile
    def step(x):
        weight.sub_(x)
        return x * 2

    @tg.compile
    def look(x):
        return x - weight

    x = tg.ones(4)
    for expected in (0, -1, -2):
        assert step(x).tolist() == [2] * 4
        assert weight.tolist() == [expected] * 4
        assert look(x).tolist() == [1 - expected] * 4
    for view in (weight[:], weight.detach()):
        with pytest.raises(tg.CaptureError, match="through another tensor too"):
            step(view)
    assert look(weight[:]).tolist() == [0] * 4  # nothing is written: no harm is done


def test_an_argument_on_the_tape_is_refused():
    w = nn.Parameter(tg.ones(2))
    step = tg.compile(lambda x: (x * x).sum())
    with pytest.raises(tg.CaptureError, match=r"result of `mul` on the tape.*x.detach\(\)"):
        step(w * 2)
    assert step((w * 2).detach()).item() == 8
    with tg.no_grad():
        assert step(w * 2).item() == 8


def test_an_input_is_changed_in_place():
    @tg.compile
    def step(x):
        x.add_(1)
        return x * 2

    for k in range(3):
        x = tg.tensor([float(k)])
        y = x * 1
        version = x.storage.version
        assert step(x).tolist() == [2 * k + 2]
        assert x.tolist() == [k + 1]
        assert x.storage.version > version
        assert y.tolist() == [k]
        array = np.array([float(k)])
        assert step(array).tolist() == [2 * k + 2]
        assert array.tolist() == [k]
