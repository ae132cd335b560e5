"""Results of a compiled function: new at each call, of any structure."""

from __future__ import annotations

from collections import namedtuple

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn


def test_results_are_fresh_and_off_the_tape():
    w = nn.Parameter(tg.ones(2))
    step = tg.compile(lambda x: (x * w).sum())
    losses = [step(tg.ones(2) * k) for k in range(4)]
    assert [loss.item() for loss in losses] == [0, 2, 4, 6]
    assert not any(loss.requires_grad for loss in losses)


def test_results_of_all_kinds():
    Pair = namedtuple("Pair", "a b")
    w = nn.Parameter(tg.ones(2))

    def function(x, how):
        out = x + w
        return {
            "none": None,
            "tuple": (out, 1),
            "list": [out, [out]],
            "pair": Pair(out, "b"),
            "dict": {"out": out, "w": w},
            "same": x,
            "view": (out.reshape(2, 1), out[1]),
            "parameter": w,
            "number": 3,
        }[how]

    for how in ("none", "tuple", "list", "pair", "dict", "same", "view", "parameter", "number"):
        step = tg.compile(function)
        for k in range(3):
            x = tg.tensor([float(k), 0.0])
            got = step(x, how)
            with tg.no_grad():
                wanted = step.function(x, how)
            assert type(got) is type(wanted)
            assert str(got) == str(wanted)
            assert how != "dict" or got["w"] is w
            assert how != "parameter" or got is w


def test_tensors_hidden_in_a_result_are_refused():
    class Box:
        def __init__(self, x):
            self.x = x

    step = tg.compile(lambda x: Box(x + 1))
    with pytest.raises(tg.CaptureError, match="returns a Box with tensors in it"):
        step(tg.ones(1))
