"""The ops of whole epochs: what they refuse, and that they read no memory behind their input."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.ops.fused import epoch_ops
from tinygrad_mlp.ops.fused.epoch_ops import NotFinite


@pytest.mark.parametrize(
    ("flag", "x"),
    [
        (tg.zeros(2, dtype=tg.int64), tg.ones(())),
        (tg.zeros((), dtype=tg.int64), tg.ones(2)),
        (tg.zeros((), dtype=tg.int64), tg.ones((), dtype=tg.int64)),
        (tg.zeros((), dtype=tg.int32), tg.ones(())),
    ],
)
def test_what_is_halted_by_is_one_flag_and_one_number(flag, x) -> None:
    with pytest.raises(TypeError, match="takes an int64 flag and a floating number, one element"):
        epoch_ops.halt_unless_finite_(flag, x)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_a_number_that_is_not_finite_sets_the_flag(value, dtype) -> None:
    flag = tg.zeros((), dtype=tg.int64)
    with pytest.raises(NotFinite):
        epoch_ops.halt_unless_finite_(flag, tg.tensor(value, dtype=dtype))
    assert flag.item() == 1
    epoch_ops.halt_unless_finite_(flag, tg.tensor(1e30, dtype=dtype))
    assert flag.item() == 0


@pytest.mark.parametrize("wrong", [-1, 3, 2**40])
@pytest.mark.parametrize("dtype", [tg.float64, tg.float32])  # rows of 8 bytes have their own way
def test_a_row_outside_of_the_input_is_zeros_and_an_error(wrong, dtype, monkeypatch) -> None:
    """The rows behind the first three belong to somebody else."""
    x = tg.tensor(np.arange(1.0, 6.0).reshape(5, 1), dtype=dtype)[:3]
    order = tg.tensor([2, wrong, 0])
    with pytest.raises(IndexError, match="x has 3"):
        epoch_ops.take_batch(x, order, tg.tensor(0), batch=3, rows=3)
    monkeypatch.setattr(epoch_ops.TakeBatch, "verify", lambda *_: None)
    rows, *_ = epoch_ops._take_batch(x, order, tg.tensor(0), batch=3, rows=3)
    assert rows.tolist() == [[3], [0], [1]]
