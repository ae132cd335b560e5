"""A network as a table: its layers, what they put out, and what there is to train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..autograd.modes import no_grad
from ..nn import Module
from ..ops.create import zeros


@dataclass(frozen=True)
class Row:
    """One layer: its name and kind, the shape of its output, and how many numbers it holds."""

    name: str
    kind: str
    shape: tuple[Any, ...]
    trainable: int
    fixed: int


@dataclass(frozen=True)
class Summary:
    """What :func:`summary` found; it prints itself.

    ``trainable`` are the numbers in parameters that require a gradient, ``fixed`` those in all
    others and in floating-point buffers, such as BatchNorm's running statistics.
    """

    rows: tuple[Row, ...]

    @property
    def trainable(self) -> int:
        """How many numbers are trained."""
        return sum(row.trainable for row in self.rows)

    @property
    def fixed(self) -> int:
        """How many are not."""
        return sum(row.fixed for row in self.rows)

    @property
    def total(self) -> int:
        """All of them."""
        return self.trainable + self.fixed

    def __str__(self) -> str:
        head = ("layer", "output shape", "parameters", "trainable")
        body = [
            (
                f"{row.name} {row.kind}".strip(),
                f"({', '.join(map(str, row.shape))})",
                f"{row.trainable + row.fixed:,}",
                f"{row.trainable:,}",
            )
            for row in self.rows
        ]
        widths = [max(len(line[k]) for line in (head, *body)) for k in range(4)]
        line = "  ".join("-" * width for width in widths)
        table = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in (head, *body)
        ]
        sums = (
            f"total parameters  {self.total:,}",
            f"trainable         {self.trainable:,}",
            f"not trainable     {self.fixed:,}",
        )
        return "\n".join([table[0], line, *table[1:], line, *sums])


def summary(model: Module, *shape: int | Sequence[int]) -> Summary:
    """The layers of ``model`` in the order in which a row of this ``shape`` goes through them.

    Args:
        model: the network.
        shape: of one row, as ``summary(model, 784)`` or ``summary(model, (784,))``.

    The model runs once in eval mode; nothing is changed.

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

    def note(module: Module, inputs: Any, output: Any) -> None:
        counts = [0, 0]
        for value in (*module.parameters(), *module.buffers()):
            if id(value) not in seen and value.dtype.kind == "f":
                seen.add(id(value))
                counts[not value.requires_grad] += value.numel()
        shape = ("N", *output.shape[1:])
        rows.append(Row(names[id(module)], type(module).__name__, shape, *counts))

    modes = [(module, module.training) for module in model.modules()]
    leaves = [module for module in model.modules() if not any(True for _ in module.children())]
    hooks = [module.register_forward_hook(note) for module in leaves]
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
