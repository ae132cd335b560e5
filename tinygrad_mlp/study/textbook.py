"""Reverse mode in one page: tensors on NumPy arrays, and nothing else of this package.

Every op computes its result and says how a gradient of the result becomes one of each input: its
vector-Jacobian product. `backward` visits the results in reverse and adds what arrives.

>>> x = Tensor([[1.0, 2.0]])
>>> w = Tensor([[0.5], [0.25]])
>>> loss = (x @ w).tanh().sum()
>>> loss.backward()
>>> w.grad  # (1 - tanh(1)^2) * x
array([[0.41997434],
       [0.83994868]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Pullback = Callable[[Array], Array]  # from dL/d(result) to dL/d(input)


class Tensor:
    """An array, the inputs that it was computed from, and for each input its pullback."""

    def __init__(self, data: Any, *parents: tuple[Tensor, Pullback]):
        self.data, self.parents = np.asarray(data, np.float64), parents
        self.grad = np.zeros_like(self.data)

    def backward(self) -> None:
        """Add dself/dx to ``x.grad`` of every tensor x that this number was computed from."""
        arrived = {id(self): np.ones_like(self.data)}  # dL/dL = 1
        for tensor in reversed(topological_order(self)):
            gradient = arrived[id(tensor)]  # complete: all that used this tensor were visited
            tensor.grad = tensor.grad + gradient
            for parent, pullback in tensor.parents:
                share = undo_broadcasting(pullback(gradient), parent.data.shape)
                arrived[id(parent)] = arrived.get(id(parent), 0) + share

    # Each op is: its result, then for each input the gradient by it, given g = dL/d(result).

    def __add__(self, other: Tensor) -> Tensor:
        return Tensor(self.data + other.data, (self, lambda g: g), (other, lambda g: g))

    def __neg__(self) -> Tensor:
        return Tensor(-self.data, (self, lambda g: -g))

    def __sub__(self, other: Tensor) -> Tensor:
        return self + -other

    def __mul__(self, other: Tensor) -> Tensor:
        x, y = self.data, other.data
        return Tensor(x * y, (self, lambda g: g * y), (other, lambda g: g * x))

    def __truediv__(self, other: Tensor) -> Tensor:
        x, y = self.data, other.data
        return Tensor(x / y, (self, lambda g: g / y), (other, lambda g: -g * x / y**2))

    def __matmul__(self, other: Tensor) -> Tensor:
        a, b = self.data, other.data
        return Tensor(a @ b, (self, lambda g: g @ b.T), (other, lambda g: a.T @ g))

    def transpose(self) -> Tensor:
        """Return the transpose of a matrix."""
        return Tensor(self.data.T, (self, lambda g: g.T))

    def exp(self) -> Tensor:
        """Return e to the power of each element."""
        out = np.exp(self.data)
        return Tensor(out, (self, lambda g: g * out))

    def log(self) -> Tensor:
        """Return the natural logarithm of each element."""
        return Tensor(np.log(self.data), (self, lambda g: g / self.data))

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent of each element."""
        out = np.tanh(self.data)
        return Tensor(out, (self, lambda g: g * (1 - out * out)))

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + exp(-x)) of each element."""
        return Tensor(1.0) / (Tensor(1.0) + (-self).exp())

    def relu(self) -> Tensor:
        """Return max(x, 0) of each element; its slope at 0 is taken as 0."""
        return Tensor(np.maximum(self.data, 0), (self, lambda g: g * (self.data > 0)))

    def sum(self, axis: int | None = None) -> Tensor:
        """Return the sum, over all elements or along an axis that stays with size 1."""
        out, shape = self.data.sum(axis=axis, keepdims=axis is not None), self.data.shape
        return Tensor(out, (self, lambda g: np.broadcast_to(g, shape)))

    def mean(self) -> Tensor:
        """Return the mean of all elements."""
        return self.sum() / Tensor(self.data.size)

    def cross_entropy(self, labels: Array) -> Tensor:
        """Return the mean of  log(sum of exp(z)) - z[label]  over the rows z: the logits."""
        z = self - Tensor(self.data.max(axis=1, keepdims=True))  # the same loss, no overflow
        onehot = Tensor(labels[:, None] == np.arange(z.data.shape[1]))
        return (z.exp().sum(1).log() - (z * onehot).sum(1)).mean()


def undo_broadcasting(gradient: Array, shape: tuple[int, ...]) -> Any:
    """Sum over the axes along which an input of ``shape`` was repeated."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    return np.sum(gradient, tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True)


def topological_order(tensor: Tensor, seen: set[int] | None = None) -> list[Tensor]:
    """Return all that ``tensor`` was computed from, each after its inputs; itself last."""
    seen = set() if seen is None else seen
    if id(tensor) in seen:
        return []
    seen.add(id(tensor))
    return [t for parent, _ in tensor.parents for t in topological_order(parent, seen)] + [tensor]
