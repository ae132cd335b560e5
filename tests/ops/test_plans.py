"""Ops find the params of a call by their names, not by the order in which they were written."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.ops.harness import arrays_of, example, results, tensors
from tests.ops.rows import TABLE
from tinygrad_mlp.autograd import tape
from tinygrad_mlp.autograd.modes import record
from tinygrad_mlp.autograd.op import REGISTRY

SEVERAL = [name for name, op in REGISTRY.items() if len(op.params) > 1]


@pytest.mark.parametrize("name", SEVERAL)
def test_params_in_another_order(name: str) -> None:
    row, op = TABLE[name], REGISTRY[name]
    if row.backward_only:
        pytest.skip("it has no forward")
    case, seed = example(name)
    with tg.no_grad(), record() as entries:
        results(row, tensors(arrays_of(row, case, seed)), case.params)
    entry = next(entry for entry in entries if entry.op is op)
    found = []
    for params in (entry.params, dict(reversed(entry.params.items()))):
        op.forget_plans()
        made = tape.apply(op, tuple(x.detach().clone() for x in entry.inputs), params)
        found.append(made if isinstance(made, tuple) else (made,))
    for right, other in zip(*found, strict=True):
        np.testing.assert_array_equal(right.detach().numpy(), other.detach().numpy())


def test_keywords_in_another_order() -> None:
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    total = REGISTRY["sum"](x, keepdim=True, dims=(0,))
    assert total.tolist() == [[4.0, 6.0]]
    assert REGISTRY["transpose"](tg.ones(2, 3, 4), dim1=2, dim0=0).shape == (4, 3, 2)
    parameter = tg.tensor([1.0])
    update = REGISTRY["sgd_momentum_"]
    inputs = (parameter, tg.tensor([1.0]), tg.tensor([0.0]))
    update(*inputs, 0.5, 0.9, 0.0, maximize=True, nesterov=False)
    assert parameter.tolist() == [1.5]
