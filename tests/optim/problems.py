"""Small problems for the optimizers' tests."""

from __future__ import annotations

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import optim

# Every update op is the choice of one of these.
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.05, weight_decay=0.1),
    "sgd momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, maximize=True),
    "sgd nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "sgd dampened": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.5),
    "adadelta": lambda p: optim.Adadelta(p, lr=0.5, weight_decay=0.1),
    "rmsprop": lambda p: optim.RMSprop(p),
    "rmsprop momentum": lambda p: optim.RMSprop(p, momentum=0.5),
    "rmsprop centered": lambda p: optim.RMSprop(p, centered=True, eps=1e-2),
    "rmsprop centered momentum": lambda p: optim.RMSprop(p, centered=True, momentum=0.5, eps=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.05, weight_decay=0.1),
    "adam amsgrad": lambda p: optim.Adam(p, lr=0.05, amsgrad=True, maximize=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.05, betas=(0.8, 0.9)),
    "adamw amsgrad": lambda p: optim.AdamW(p, lr=0.05, amsgrad=True),
}


def parameters(dtype):
    """Parameters of several shapes, always the same."""
    generator = np.random.default_rng(0)
    return [
        tg.tensor(np.asarray(generator.normal(size=shape)).astype(dtype), requires_grad=True)
        for shape in [(4, 3), (3,), (2, 1, 2), ()]
    ]


def train(params, optimizer, steps, seed=0, without=None):
    """Steps along random gradients; the parameter ``without`` gets none."""
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        for p in params:
            gradient = np.asarray(generator.normal(size=p.shape)).astype(p.dtype)
            p.grad = None if p is without else tg.tensor(gradient)
        optimizer.step()


def everything(params, optimizer):
    """All numbers of the parameters and of the optimizer's state."""
    states = [
        {name: value.tolist() for name, value in optimizer.state.get(p, {}).items()} for p in params
    ]
    return [p.tolist() for p in params], states
