"""`tg.gradcheck` finds wrong gradients, and changes nothing."""

from __future__ import annotations

import pytest

import tinygrad_mlp as tg


def test_gradcheck_leaves_its_inputs_alone_where_the_function_raises() -> None:
    x = tg.tensor([1.0, 2.0], dtype="float64", requires_grad=True)

    def fails_when_moved(x):
        if x.detach().tolist() != [1.0, 2.0]:
            raise RuntimeError("moved")
        return x * x

    with pytest.raises(RuntimeError, match="moved"):
        tg.gradcheck(fails_when_moved, x)
    assert x.tolist() == [1.0, 2.0]
