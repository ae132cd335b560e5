"""Networks, optimizers and schedules by the names that the command line has for them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ..nn import (
    ELU,
    GELU,
    BatchNorm1d,
    DropConnect,
    Dropout,
    LeakyReLU,
    Linear,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from ..optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop
from ..optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "softplus": Softplus,
}

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
}

MOMENTUM = {"sgd": 0.9, "rmsprop": 0.0}
"""The optimizers that take a momentum, and that of each by default."""

# Of an optimizer, the epochs, and the batches of one.
SCHEDULES: dict[str, Callable[[Any, int, int], Any]] = {
    "constant": lambda optimizer, epochs, batches: None,
    "cosine": lambda optimizer, epochs, batches: CosineAnnealingLR(optimizer, T_max=epochs),
    "linear": lambda optimizer, epochs, batches: LinearLR(optimizer, 1.0, 0.0, epochs),
    "step": lambda optimizer, epochs, batches: StepLR(optimizer, max(1, epochs // 3)),
    "exponential": lambda optimizer, epochs, batches: ExponentialLR(
        optimizer, 0.01 ** (1 / epochs)
    ),
    "plateau": lambda optimizer, epochs, batches: ReduceLROnPlateau(optimizer, patience=5),
    "one-cycle": lambda optimizer, epochs, batches: OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        epochs=epochs,
        steps_per_epoch=batches,
        cycle_momentum=bool({"momentum", "betas"} & set(optimizer.defaults)),
    ),
}


def mlp(
    *widths: int,
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    dropconnect: float = 0.0,
) -> Sequential:
    """Linear layers from ``widths[0]`` to ``widths[-1]``, with an activation between each two.

    ``batch_norm`` puts a BatchNorm1d before each activation, ``dropout`` a Dropout behind it.
    ``dropconnect`` drops weights of the hidden layers.
    """
    layers: list[Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        hidden = DropConnect(inputs, outputs, dropconnect) if dropconnect else None
        layers.append(hidden or Linear(inputs, outputs))
        if batch_norm:
            layers.append(BatchNorm1d(outputs))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(Dropout(dropout))
    return Sequential(*layers, Linear(widths[-2], widths[-1]))
