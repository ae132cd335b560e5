"""`summary`: the layers of a network, their output shapes and numbers of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..autograd.modes import no_grad
from ..nn import Module
from ..ops.create import zeros


@dataclass(frozen=True)
class Row:
    """One layer: its name and class, its output shape, and how many elements are trained or not."""

    name: str
    layer: str
    shape: tuple[Any, ...]
    trainable: int
    fixed: int


@dataclass(frozen=True)
class Summary:
    """The result of `summary`; it prints as a table.

    ``trainable`` counts the elements of parameters that require a gradient, ``fixed`` those of all
    other parameters and of floating buffers, such as BatchNorm's running statistics.
    """

    rows: tuple[Row, ...]

    @property
    def trainable(self) -> int:
        """The number of elements that are trained."""
        return sum(row.trainable for row in self.rows)

    @property
    def fixed(self) -> int:
        """The number of elements that are not trained."""
        return sum(row.fixed for row in self.rows)

    @property
    def total(self) -> int:
        """The number of all elements."""
        return self.trainable + self.fixed

    def __str__(self) -> str:
        table = [("layer", "output shape", "parameters", "trainable")]
        for row in self.rows:
            counts = f"{row.trainable + row.fixed:,}", f"{row.trainable:,}"
            shape = f"({', '.join(map(str, row.shape))})"
            table.append((f"{row.name} {row.layer}".strip(), shape, *counts))
        a, b, c, d = (max(map(len, column)) for column in zip(*table, strict=True))
        lines = [f"{w:<{a}}  {x:<{b}}  {y:>{c}}  {z:>{d}}" for w, x, y, z in table]
        rule = "  ".join("-" * width for width in (a, b, c, d))
        return "\n".join(
            [
                *(lines[0], rule, *lines[1:], rule),
                f"total parameters  {self.total:,}",
                f"trainable         {self.trainable:,}",
                f"not trainable     {self.fixed:,}",
            ]
        )


def summary(model: Module, *shape: int | Sequence[int]) -> Summary:
    """Return the layers of ``model`` in the order in which data pass through them.

    The model runs once in eval mode, on a batch of one; nothing is changed.

    Args:
        model: the network.
        shape: of one row, as ``summary(model, 784)`` or ``summary(model, (784,))``.

    >>> from tinygrad_mlp import nn
    >>> print(summary(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), 2))
    layer          output shape  parameters  trainable
    -------------  ------------  ----------  ---------
    0 Linear       (N, 8)                24         24
    1 BatchNorm1d  (N, 8)                32         16
    2 Linear       (N, 3)                27         27
    -------------  ------------  ----------  ---------
    total parameters  83
    trainable         67
    not trainable     16
    """
    size = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    names = {id(module): name for name, module in model.named_modules()}
    rows: list[Row] = []
    seen: set[int] = set()

    def add_row(module: Module, inputs: Any, output: Any) -> None:
        counts = [0, 0]
        for value in (*module.parameters(), *module.buffers()):
            if id(value) not in seen and value.dtype.kind == "f":
                seen.add(id(value))
                counts[not value.requires_grad] += value.numel()
        output_shape = ("N", *output.shape[1:])
        rows.append(Row(names[id(module)], type(module).__name__, output_shape, *counts))

    modes = [(module, module.training) for module in model.modules()]
    leaves = [module for module in model.modules() if not any(True for _ in module.children())]
    hooks = [module.register_forward_hook(add_row) for module in leaves]
    first = next((p.dtype for p in model.parameters()), None)
    try:
        model.eval()
        with no_grad():
            model(zeros(1, *size, dtype=first))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return Summary(tuple(rows))
