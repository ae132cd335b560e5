"""Optimizers, learning-rate schedules and gradient clipping.

Every change they make is an op: an optimizer updates a parameter by one op of
``ops/fused/optimizer_update.py``, and a scheduler sets ``group["lr"]``, a cell that those ops read.
"""

from __future__ import annotations

from ..nn.clip_grad import clip_grad_norm_, clip_grad_value_
from . import lr_scheduler
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
]
