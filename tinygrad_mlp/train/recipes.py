"""How each dataset is trained by default: one entry each, measured over seeds 0 to 4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ..data import Dataset, digits, spiral
from ..nn import BatchNorm1d, Linear, Module, ReLU, Sequential
from ..optim import AdamW
from ..optim.lr_scheduler import CosineAnnealingLR


@dataclass(frozen=True)
class Recipe:
    """What to train on, what, and how. The optimizer is AdamW, its lr on a cosine down to 0.

    Attributes:
        data: makes the dataset from a seed.
        test: the fraction of its rows that is held out.
        model: makes the network.
        lr: the learning rate of the first epoch.
        epochs: how many epochs.
        batch_size: rows in a step.
    """

    data: Callable[[int], Dataset]
    test: float
    model: Callable[[], Module]
    lr: float
    epochs: int
    batch_size: int

    def optimizer(self, model: Module, lr: float, epochs: int) -> tuple[AdamW, CosineAnnealingLR]:
        """The optimizer for ``model``, and its schedule."""
        optimizer = AdamW(model.parameters(), lr=lr)
        return optimizer, CosineAnnealingLR(optimizer, T_max=epochs)


def mlp(*widths: int, batch_norm: bool = False) -> Sequential:
    """Linear layers from ``widths[0]`` to ``widths[-1]``, with a ReLU between each two.

    ``batch_norm`` puts a BatchNorm1d before each ReLU.
    """
    layers: list[Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers.append(Linear(inputs, outputs))
        if batch_norm:
            layers.append(BatchNorm1d(outputs))
        layers.append(ReLU())
    return Sequential(*layers, Linear(widths[-2], widths[-1]))


RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        data=lambda seed: digits(),
        test=0.2,
        model=lambda: mlp(64, 128, 64, 10, batch_norm=True),
        lr=0.003,
        epochs=40,
        batch_size=64,
    ),
    # 600 points, so that the half which it learns from is the classic 3 x 100.
    "spiral": Recipe(
        data=lambda seed: spiral(arms=3, points=200, seed=seed),
        test=0.5,
        model=lambda: mlp(2, 100, 3),
        lr=0.03,
        epochs=200,
        batch_size=50,
    ),
}
