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
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    operator.eq,
    operator.lt,
    operator.and_,
    operator.or_,
    operator.xor,
]
NUMBERS = [True, 1, 2.5]


def outcome(module, operation, left, right) -> str:
    """The dtype of the result, or that the operation is refused."""

    def make(operand):
        if not isinstance(operand, tuple):
            return operand
        dtype, ndim = operand
        return module.ones((0,) * ndim, dtype=getattr(module, dtype))

    try:
        return str(operation(make(left), make(right)).dtype).removeprefix("torch.")
    except (TypeError, RuntimeError, NotImplementedError):
        return "refused"


@pytest.mark.parametrize("operation", BINARY)
def test_pairs(operation) -> None:
    """One operand of no elements, so that no kernel is compiled for all these."""
    import torch

    some, single = [(name, 1) for name in NAMES], [(name, 0) for name in NAMES]
    pairs = [
        *itertools.product(some, [*some, *single, *NUMBERS]),
        *itertools.product([*single, *NUMBERS], some),
    ]
    differ = []
    for left, right in pairs:
        ours = outcome(tg, operation, left, right)
        theirs = outcome(torch, operation, left, right)
        if operation is operator.sub and theirs == "refused":
            continue  # PyTorch has no `1 - mask`; with us it promotes as in `1 + mask`
        if operation is operator.pow and (left, right) == (("bool", 1), True):
            continue  # PyTorch copies; we refuse to raise a bool to a bool
        if ours != theirs:
            differ.append(f"{left} {operation.__name__} {right}: {ours}, PyTorch {theirs}")
    assert not differ, "\n".join(differ)


@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "sqrt",
        "sigmoid",
        "sum",
        "prod",
        "mean",
        "abs",
        "neg",
        "square",
        "sign",
        "round",
        "floor",
        "relu",
        "logical_not",
        "isnan",
        "reciprocal",
    ],
)
def test_functions_of_one(name: str) -> None:
    import torch

    for dtype in NAMES:

        def call(module, dtype=dtype):
            return getattr(module, name)(module.ones(2, dtype=getattr(module, dtype)))

        try:
            theirs = str(call(torch).dtype).removeprefix("torch.")
        except (RuntimeError, NotImplementedError):
            continue  # PyTorch refuses some that mean something
        if (name, dtype) == ("square", "bool"):
            continue  # int64 with PyTorch; refused here
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
