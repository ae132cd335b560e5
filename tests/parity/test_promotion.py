"""Dtypes of results are PyTorch's: every pair of dtypes, 0-d and not, and Python numbers."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest

import tinygrad_mlp as tg

pytestmark = pytest.mark.parity

NAMES = ["bool", "uint8", "int32", "int64", "float32", "float64"]
BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.eq, operator.lt, operator.and_, operator.or_, operator.xor,
]  # fmt: skip
NUMBERS = [True, 1, 2.5]


def outcome(module, operation, left, right) -> str:
    """The dtype of the result, or that the operation is refused."""

    def make(operand):
        if not isinstance(operand, tuple):
            return operand
        dtype, ndim = operand
        return module.ones((2,) * ndim, dtype=getattr(module, dtype))

    try:
        return str(operation(make(left), make(right)).dtype).removeprefix("torch.")
    except (TypeError, RuntimeError, NotImplementedError):
        return "refused"


@pytest.mark.parametrize("operation", BINARY)
def test_pairs(operation) -> None:
    import torch

    differ = []
    kinds = list(itertools.product(NAMES, [0, 1]))
    for left, right in [*itertools.product(kinds, kinds), *itertools.product(kinds, NUMBERS),
                        *itertools.product(NUMBERS, kinds)]:  # fmt: skip
        ours = outcome(tg, operation, left, right)
        theirs = outcome(torch, operation, left, right)
        if ours != theirs:
            differ.append(f"{left} {operation.__name__} {right}: {ours}, PyTorch {theirs}")
    assert not differ, "\n".join(differ)


@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "sum", "prod", "mean", "abs", "neg",
                                  "square", "sign", "round", "floor", "argmax", "any", "relu",
                                  "logical_not", "isnan", "reciprocal"])  # fmt: skip
def test_functions_of_one(name: str) -> None:
    import torch

    for dtype in NAMES:

        def call(module, dtype=dtype):
            return getattr(module, name)(module.ones(2, dtype=getattr(module, dtype)))

        try:
            theirs = str(call(torch).dtype).removeprefix("torch.")
        except (RuntimeError, NotImplementedError):
            continue  # PyTorch refuses some that mean something
        assert str(call(tg).dtype) == theirs, dtype


def test_tensors_from_data() -> None:
    import torch

    for data in [
        1,
        1.0,
        True,
        [1, 2],
        [1, 2.0],
        [True, False],
        [True, 2],
        [],
        [[]],
        [[1.5], [2]],
        np.float32(1),
        np.int32(1),
        np.array([1.0]),
        np.array([1], np.uint8),
    ]:
        assert str(tg.tensor(data).dtype) == str(torch.tensor(data).dtype).removeprefix("torch.")
