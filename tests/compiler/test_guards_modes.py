"""Grad mode, default dtype and number of threads, changed between the calls."""

from __future__ import annotations

import pytest

import tinygrad_mlp as tg
from tests.compiler.training import data
from tinygrad_mlp import nn


def test_grad_mode_default_dtype_and_threads():
    model = nn.Linear(5, 2)
    step = tg.compile(lambda x: model(x) + tg.zeros(2))
    x, _ = data()
    expected = step(x).tolist()
    with tg.no_grad():
        assert step(x).tolist() == expected
    threads = tg.get_num_threads()
    tg.set_num_threads(threads + 1)
    assert step(x).tolist() == expected
    tg.set_num_threads(threads)
    tg.set_default_dtype("float64")
    try:
        assert str(step(x).dtype) == "float64"
    finally:
        tg.set_default_dtype("float32")
    assert str(step(x).dtype) == "float32"


def test_the_eighth_capture_warns():
    step = tg.compile(lambda x: x + 1)
    for n in range(1, 8):
        assert step(tg.ones(n)).tolist() == [2] * n
    with pytest.warns(UserWarning, match="was captured 8 times"):
        step(tg.ones(8))
    for n in range(1, 9):
        assert step(tg.ones(n)).shape == (n,)
    assert step.captures == 8
