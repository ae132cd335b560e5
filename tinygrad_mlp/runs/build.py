"""Build networks, optimizers and schedules from their names on the command line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from .. import nn
from ..nn import Module, Sequential
from ..optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop, lr_scheduler
from ..optim.lr_scheduler import LRScheduler

ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
}

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = dict(
    sgd=SGD, adam=Adam, adamw=AdamW, rmsprop=RMSprop, adagrad=Adagrad, adadelta=Adadelta
)

MOMENTUM = {"sgd": 0.9, "rmsprop": 0.0}
"""Default momentum of the optimizers that have one."""


def _one_cycle(optimizer: Optimizer, epochs: int, batches: int) -> LRScheduler:
    return lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        epochs=epochs,
        steps_per_epoch=batches,
        cycle_momentum=bool({"momentum", "betas"} & set(optimizer.defaults)),
    )


# Functions of an optimizer, the number of epochs, and the number of batches per epoch.
SCHEDULES: dict[str, Callable[[Optimizer, int, int], LRScheduler | None]] = {
    "constant": lambda o, epochs, batches: None,
    "cosine": lambda o, epochs, batches: lr_scheduler.CosineAnnealingLR(o, T_max=epochs),
    "linear": lambda o, epochs, batches: lr_scheduler.LinearLR(o, 1.0, 0.0, epochs),
    "step": lambda o, epochs, batches: lr_scheduler.StepLR(o, max(1, epochs // 3)),
    "exponential": lambda o, epochs, batches: lr_scheduler.ExponentialLR(o, 0.01 ** (1 / epochs)),
    "plateau": lambda o, epochs, batches: lr_scheduler.ReduceLROnPlateau(o, patience=5),
    "one-cycle": _one_cycle,
}


def mlp(
    *widths: int,
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    dropconnect: float = 0.0,
) -> Sequential:
    """Build a multilayer perceptron: linear layers with activations between them.

    Args:
        *widths: number of features, widths of the hidden layers, number of outputs.
        activation: a key of ``ACTIVATIONS``.
        batch_norm: whether to put a BatchNorm1d before each activation.
        dropout: if not 0, the probability of a Dropout after each activation.
        dropconnect: if not 0, the probability of dropping a weight of a hidden layer.

    >>> mlp(2, 8, 3, activation="tanh")
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): Tanh()
      (2): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    layers: list[Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        if dropconnect:
            layers.append(nn.DropConnect(inputs, outputs, dropconnect))
        else:
            layers.append(nn.Linear(inputs, outputs))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
