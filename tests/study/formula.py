"""The value of a printed gradient rule, computed with NumPy: the reference of the study tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp.autograd.op import REGISTRY
from tinygrad_mlp.kernels.codegen.expression import Expression
from tinygrad_mlp.study.spelling import Call

OPERATORS: dict[str, Any] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "or": np.logical_or, "and": np.logical_and, "not": np.logical_not,
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "floordiv": np.floor_divide, "pow": np.power, "neg": np.negative, "matmul": np.matmul,
    "where": np.where, "rsqrt": lambda x: 1 / np.sqrt(x), "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(-abs(x))) + np.maximum(x, 0), "absolute": np.abs,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
}  # fmt: skip


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _sum_to_size(x: Any, shape: Any) -> Any:
    lead = x.ndim - len(shape)
    same = [k for k in range(x.ndim) if k < lead or shape[k - lead] == 1]
    return x.sum(axis=tuple(same), keepdims=True).reshape(shape)


CALLS: dict[str, Any] = {
    "constant": lambda value: value,
    "mT": lambda x: np.swapaxes(x, -1, -2),
    "sum": lambda x, dims, keepdim: np.sum(x, axis=dims, keepdims=keepdim),
    "mean": lambda x, dims, keepdim: np.mean(x, axis=dims, keepdims=keepdim),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "expand": lambda x, shape: np.broadcast_to(x, shape),
    "sum_to_size": _sum_to_size,
    "to": lambda x, dtype: np.asarray(x, dtype),
    "unsqueeze": lambda x, dim: np.expand_dims(x, dim),
    "softmax": _softmax,
    "onehot": lambda y, classes: (y[:, None] == np.arange(classes)).astype(float),
}


def value(of: Expression, known: Mapping[str, Any]) -> Any:
    """Return the value of an expression; ``known`` has the arrays of its names."""
    if isinstance(of, Call):
        operands = [value(x, known) for x in of.operands]
        if of.name in CALLS:
            return CALLS[of.name](*operands, **of.params)
        return _run(of.name, operands, of.params)
    if of.operator == "input":
        return known[of.value]
    if of.operator == "constant":
        return of.value
    operands = [value(x, known) for x in of.arguments]
    if of.operator == "erf":
        return _run("erf", operands, {})
    return (OPERATORS.get(of.operator) or getattr(np, of.operator))(*operands)


def _run(op: str, operands: Any, params: Any) -> Any:
    tensors = [tg.from_numpy(np.array(x, order="C")) for x in operands]
    return REGISTRY[op].run(tuple(tensors), params)[0].numpy()
