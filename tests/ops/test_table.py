"""The table covers every op, and each row exercises the op that it names."""

from __future__ import annotations

import pytest

from tests.ops.harness import arrays_of, example, places_of, results, tensors
from tests.ops.rows import TABLE
from tinygrad_mlp.autograd.modes import record
from tinygrad_mlp.autograd.op import REGISTRY


def test_there_is_a_row_for_each_op_and_no_other() -> None:
    assert set(TABLE) == set(REGISTRY)


@pytest.mark.parametrize("name", TABLE)
def test_a_row_has_what_the_op_declares(name: str) -> None:
    row, op = TABLE[name], REGISTRY[name]
    assert row.mutates == op.mutates
    assert bool(row.differentiable) == op.has_gradient, "the table and the op disagree on gradients"


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if not row.backward_only])
def test_a_row_applies_its_op(name: str) -> None:
    row = TABLE[name]
    case, seed = example(name)
    arrays = arrays_of(row, case, seed)
    with record() as entries:
        results(row, tensors(arrays, places_of(row, arrays)), case.params)
    assert name in {entry.op.name for entry in entries}
