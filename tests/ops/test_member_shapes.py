"""Ops over the members of an ensemble: inputs of any number of axes, and a single member."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.ops.fused import members


@pytest.mark.parametrize("lead", [(3,), (3, 4), (2, 3, 4)])
def test_linear_takes_any_axes_between_the_member_and_the_last(lead) -> None:
    generator = np.random.default_rng(0)
    x, weight = generator.normal(size=(2, *lead, 5)), generator.normal(size=(2, 6, 5))
    found = members.linear(tg.tensor(x), tg.tensor(weight), None)
    wanted = np.stack([x[k] @ weight[k].T for k in range(2)])
    assert found.shape == (2, *lead, 6)
    np.testing.assert_allclose(found.numpy(), wanted, 1e-12)


@pytest.mark.parametrize("count", [1, 2])
def test_cross_entropy_of_each_member(count) -> None:
    x, y = tg.randn(count, 4, 3, dtype=tg.float64), tg.tensor([0, 2, 1, 1])
    found = members.cross_entropy(x, y, ignore_index=-100, label_smoothing=0.0)
    wanted = [tg.nn.functional.cross_entropy(x[k], y).item() for k in range(count)]
    np.testing.assert_allclose(found.numpy(), wanted, 1e-12)
