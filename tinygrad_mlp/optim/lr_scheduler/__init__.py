"""Learning-rate schedules, which set ``group["lr"]`` of an optimizer's groups.

Read in this order: ``base.py`` (`LRScheduler` and the checks), ``schedules.py`` (the closed forms
and their sequence) with ``cosine.py``, ``one_cycle.py``, ``plateau.py``.

>>> import tinygrad_mlp as tg
>>> from tinygrad_mlp import optim
>>> optimizer = optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=0.8)
>>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
>>> for epoch in range(4):
...     # train, then:
...     scheduler.step()
...     print(scheduler.get_last_lr())
[0.8]
[0.4]
[0.4]
[0.2]
"""

from __future__ import annotations

from .base import LRScheduler
from .one_cycle import OneCycleLR
from .plateau import ReduceLROnPlateau
from .schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    SequentialLR,
    StepLR,
)

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR",
    "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip
