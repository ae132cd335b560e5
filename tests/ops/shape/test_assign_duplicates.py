"""Assignment to elements that an index names several times: the last value stays and counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_mlp as tg

DUPLICATES = [  # key, values, x (2 rows of 3) after it, the gradient of the values for weights 1..6
    ([0, 0], [[1.0, 2, 3], [4, 5, 6]], [[4, 5, 6], [0, 0, 0]], [[0, 0, 0], [1, 2, 3]]),
    ([0, -2], [[1.0, 2, 3], [4, 5, 6]], [[4, 5, 6], [0, 0, 0]], [[0, 0, 0], [1, 2, 3]]),
    ([1, 0, 1], [[7.0], [8], [9]], [[8, 8, 8], [9, 9, 9]], [[0], [6], [15]]),
    ([0, 0], [7.0, 8, 9], [[7, 8, 9], [0, 0, 0]], [1, 2, 3]),
    ([1, 1], 5.0, [[0, 0, 0], [5, 5, 5]], 15),
    (([0, 0, 1], [2, -1, 0]), [1.0, 2, 3], [[0, 0, 2], [3, 0, 0]], [0, 3, 4]),
    ((slice(None), [1, 1]), [[1.0, 2], [3, 4]], [[0, 2, 0], [0, 4, 0]], [[0, 2], [0, 5]]),
    (
        np.array([[0, 1], [1, 0]]),
        [[[1.0] * 3, [2] * 3], [[3] * 3, [4] * 3]],
        [[4, 4, 4], [3, 3, 3]],
        [[[0, 0, 0], [0, 0, 0]], [[4, 5, 6], [1, 2, 3]]],
    ),
    (  # the transposed order of an index in Fortran order is not the order of writing
        np.array([[0, 0], [1, 0]]).T,
        [[[1.0] * 3, [2] * 3], [[3] * 3, [4] * 3]],
        [[4, 4, 4], [2, 2, 2]],
        [[[0, 0, 0], [4, 5, 6]], [[0, 0, 0], [1, 2, 3]]],
    ),
    (np.array([True, False]), [[1.0, 2, 3]], [[1, 2, 3], [0, 0, 0]], [[1, 2, 3]]),
]


@pytest.mark.parametrize(("key", "values", "after", "gradient"), DUPLICATES)
def test_of_values_written_to_one_element_the_last_counts(key, values, after, gradient) -> None:
    x = tg.ones(2, 3, requires_grad=True)
    value = tg.tensor(values, requires_grad=True)
    y = x * 0
    y[key] = value
    assert y.tolist() == after
    (y * tg.tensor([[1.0, 2, 3], [4, 5, 6]])).sum().backward()
    assert value.grad.tolist() == gradient


@pytest.mark.parity
@pytest.mark.parametrize(("key", "values", "after"), [row[:3] for row in DUPLICATES])
def test_the_last_value_stays_as_in_pytorch(key, values, after) -> None:
    import torch

    y = torch.zeros(2, 3)
    y[torch.tensor(key) if isinstance(key, np.ndarray) else key] = torch.tensor(values)
    assert y.tolist() == after


@given(st.data())
def test_assignment_in_order_has_the_gradient_of_its_loop(data) -> None:
    """Element after element, each write recorded by itself, is the definition."""
    shape = data.draw(npst.array_shapes(max_dims=2, max_side=3))
    count = data.draw(npst.array_shapes(max_dims=2, max_side=4))
    size = math.prod(shape)
    places = data.draw(npst.arrays(np.int64, count, elements=st.integers(0, size - 1)))
    values = np.arange(1.0, places.size + 1).reshape(count)
    weights = tg.tensor(np.arange(1.0, size + 1).reshape(shape))

    def run(write):
        x, value = tg.ones(*shape, dtype=tg.float64, requires_grad=True), tg.tensor(values)
        value.requires_grad_()
        y = x * 1
        write(y, value)
        (y * weights).sum().backward()
        return y.tolist(), x.grad.tolist(), value.grad.tolist()

    def one_by_one(y, value):
        for k in np.ndindex(count):
            y[np.unravel_index(places[k], shape)] = value[k]

    def at_once(y, value):
        y[tuple(tg.tensor(p) for p in np.unravel_index(places, shape))] = value

    assert run(at_once) == run(one_by_one)
