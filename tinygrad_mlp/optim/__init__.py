"""Optimizers and learning-rate schedules.

An optimizer updates each parameter by one op of ``ops/fused/optimizer_update.py``. A scheduler sets
``group["lr"]``, a tensor that those ops read.
Gradient clipping is in `nn.utils`, as in PyTorch.

Read in this order: ``param_group.py`` (hyperparameters, their ranges and tensors), ``optimizer.py``
(the base class), ``sgd.py``, ``adam.py``, ``rmsprop.py``, ``adagrad.py``, ``adadelta.py``,
``state_dict.py`` (loading), ``lr_scheduler/``.
"""

from __future__ import annotations

from . import lr_scheduler
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
