"""Modules, layers and losses.

`functional` has them as functions, `init` sets initial values, `utils` clips gradients.

Read in this order: ``parameter.py``, ``module.py`` (the base class), ``hooks.py``, ``state.py``
(state dicts), ``functional.py``, ``functional_module.py``, ``activation.py``, ``loss.py``,
``init.py`` (initial values), ``linear.py``, ``dropout.py``, ``normalization.py``, ``container.py``,
``config.py`` (networks from dictionaries), ``ensemble.py``,
``clip_grad.py``, ``utils.py``.

>>> import tinygrad_mlp as tg
>>> from tinygrad_mlp import nn
>>> model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
>>> model(tg.ones(32, 784)).shape
(32, 10)
"""

from __future__ import annotations

from . import functional, init, utils
from .activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .config import from_config
from .container import ModuleDict, ModuleList, Sequential
from .dropout import DropConnect, Dropout
from .ensemble import Ensemble, EnsembleLoss
from .linear import Flatten, Identity, Linear
from .loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, L1Loss, MSELoss, NLLLoss
from .module import Module
from .normalization import BatchNorm1d, LayerNorm
from .parameter import Parameter

__all__ = [
    "ELU", "GELU", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "CrossEntropyLoss",
    "DropConnect", "Dropout", "Ensemble", "EnsembleLoss", "Flatten", "HuberLoss", "Identity",
    "L1Loss", "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "MSELoss", "Module", "ModuleDict",
    "ModuleList", "NLLLoss", "PReLU", "Parameter", "ReLU", "Sequential", "SiLU", "Sigmoid",
    "Softmax", "Softplus", "Tanh", "from_config", "functional", "init", "utils",
]  # fmt: skip
