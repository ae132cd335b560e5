"""Rows of the optimizers' updates; the references are the papers' algorithms, line by line."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.ops.table import Row, constant, real, shaped
from tinygrad_mlp.ops.fused import optimizer_update

SIGNED, POSITIVE = constant(real(-2, 2)), constant(real(0.1, 2))
DECAY = 0.3  # of the weights


def row(op, reference, *state, **numbers):
    """An update's row: arrays of one shape as inputs, its numbers and flags as params."""

    @shaped
    def cases(draw):
        shape = draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
        flags = {name: draw(st.booleans()) for name in op.params}
        return [shape] * (2 + len(state)), numbers | flags

    def call(*arrays: Any, **params: Any) -> Any:
        flags = {name: params.pop(name) for name in op.params}
        return op(*arrays, *params.values(), **flags)

    assert tuple(numbers) == op.numbers
    written = (0, *range(2, 2 + len(state)))
    return Row(op.name, call, reference, [SIGNED, SIGNED, *state], cases=cases, mutates=written)


def np_sgd(p, g, lr, weight_decay, maximize):
    g = (-g if maximize else g) + weight_decay * p
    return p - lr * g


def np_momentum(p, g, b, lr, momentum, weight_decay, nesterov, maximize):
    g = (-g if maximize else g) + weight_decay * p
    b = momentum * b + g
    return p - lr * (g + momentum * b if nesterov else b), b


def np_dampened(p, g, b, step, lr, momentum, dampening, weight_decay, nesterov, maximize):
    g = (-g if maximize else g) + weight_decay * p
    b = momentum * b + (g if step == 1 else (1 - dampening) * g)
    return p - lr * (g + momentum * b if nesterov else b), b


def np_adagrad(p, g, s, step, lr, lr_decay, weight_decay, eps, maximize):
    g = (-g if maximize else g) + weight_decay * p
    s = s + g**2
    rate = lr / (1 + (step - 1) * lr_decay)
    return p - rate * g / (np.sqrt(s) + eps), s


def np_adadelta(p, g, v, u, lr, rho, eps, weight_decay, maximize):
    g = (-g if maximize else g) + weight_decay * p
    v = rho * v + (1 - rho) * g**2
    change = -np.sqrt(u + eps) / np.sqrt(v + eps) * g
    return p + lr * change, v, rho * u + (1 - rho) * change**2


def np_rmsprop(p, g, v, lr, alpha, eps, weight_decay, maximize):
    g = (-g if maximize else g) + weight_decay * p
    v = alpha * v + (1 - alpha) * g**2
    return p - lr * g / (np.sqrt(v) + eps), v


def np_rmsprop_momentum(p, g, v, b, lr, alpha, eps, weight_decay, momentum, maximize):
    g = (-g if maximize else g) + weight_decay * p
    v = alpha * v + (1 - alpha) * g**2
    b = momentum * b + g / (np.sqrt(v) + eps)
    return p - lr * b, v, b


def np_rmsprop_centered(p, g, v, m, lr, alpha, eps, weight_decay, maximize):
    g = (-g if maximize else g) + weight_decay * p
    v = alpha * v + (1 - alpha) * g**2
    m = alpha * m + (1 - alpha) * g
    return p - lr * g / (np.sqrt(np.maximum(v - m**2, 0)) + eps), v, m


def np_rmsprop_centered_momentum(p, g, v, m, b, lr, alpha, eps, weight_decay, momentum, maximize):
    g = (-g if maximize else g) + weight_decay * p
    v = alpha * v + (1 - alpha) * g**2
    m = alpha * m + (1 - alpha) * g
    b = momentum * b + g / (np.sqrt(np.maximum(v - m**2, 0)) + eps)
    return p - lr * b, v, m, b


def np_adam(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, maximize):
    g = (-g if maximize else g) + weight_decay * p
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def np_adam_amsgrad(p, g, m, v, top, step, lr, beta1, beta2, eps, weight_decay, maximize):
    g = (-g if maximize else g) + weight_decay * p
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    top = np.maximum(top, v)
    m_hat, v_hat = m / (1 - beta1**step), top / (1 - beta2**step)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v, top


def np_adamw(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, maximize):
    updated, m, v = np_adam(p, g, m, v, step, lr, beta1, beta2, eps, 0, maximize)
    return updated - lr * weight_decay * p, m, v


def np_adamw_amsgrad(p, g, m, v, top, step, lr, beta1, beta2, eps, weight_decay, maximize):
    updated, m, v, top = np_adam_amsgrad(p, g, m, v, top, step, lr, beta1, beta2, eps, 0, maximize)
    return updated - lr * weight_decay * p, m, v, top


RMS = {"lr": 0.2, "alpha": 0.8, "eps": 0.05, "weight_decay": DECAY}
# The mean of squares is above the square of the mean, as it is in use: rounding near 0 aside.
CENTERED = (constant(real(1, 2)), constant(real(-0.9, 0.9)))
ADAM = {"step": 3, "lr": 0.2, "beta1": 0.6, "beta2": 0.8, "eps": 0.05, "weight_decay": DECAY}

ROWS = [
    row(optimizer_update.sgd_, np_sgd, lr=0.2, weight_decay=DECAY),
    row(
        optimizer_update.sgd_momentum_,
        np_momentum,
        SIGNED,
        lr=0.2,
        momentum=0.7,
        weight_decay=DECAY,
    ),
    row(
        optimizer_update.sgd_dampened_,
        np_dampened,
        SIGNED,
        step=2,
        lr=0.2,
        momentum=0.7,
        dampening=0.4,
        weight_decay=DECAY,
    ),
    row(
        optimizer_update.adagrad_,
        np_adagrad,
        POSITIVE,
        step=3,
        lr=0.2,
        lr_decay=0.1,
        weight_decay=DECAY,
        eps=0.05,
    ),
    row(
        optimizer_update.adadelta_,
        np_adadelta,
        POSITIVE,
        POSITIVE,
        lr=0.8,
        rho=0.7,
        eps=0.05,
        weight_decay=DECAY,
    ),
    row(optimizer_update.rmsprop_, np_rmsprop, POSITIVE, **RMS),
    row(
        optimizer_update.rmsprop_momentum_,
        np_rmsprop_momentum,
        POSITIVE,
        SIGNED,
        **RMS,
        momentum=0.7,
    ),
    row(optimizer_update.rmsprop_centered_, np_rmsprop_centered, *CENTERED, **RMS),
    row(
        optimizer_update.rmsprop_centered_momentum_,
        np_rmsprop_centered_momentum,
        *CENTERED,
        SIGNED,
        **RMS,
        momentum=0.7,
    ),
    row(optimizer_update.adam_, np_adam, SIGNED, POSITIVE, **ADAM),
    row(optimizer_update.adam_amsgrad_, np_adam_amsgrad, SIGNED, POSITIVE, POSITIVE, **ADAM),
    row(optimizer_update.adamw_, np_adamw, SIGNED, POSITIVE, **ADAM),
    row(optimizer_update.adamw_amsgrad_, np_adamw_amsgrad, SIGNED, POSITIVE, POSITIVE, **ADAM),
]
