"""MyGrad: autograd on NumPy, eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workload import RATE, Workload


def step(workload: Workload, mygrad: Any) -> Callable[[], object] | None:
    """Return the step: ReLU, cross-entropy and SGD only."""
    parts = (workload.activation, workload.loss, workload.optimizer)
    if workload.norm or workload.dropout or parts != ("ReLU", "cross-entropy", "SGD"):
        return None
    x, y = workload.data()
    weights = [tuple(map(mygrad.tensor, pair)) for pair in workload.weights()]
    *hidden, (last_weight, last_bias) = weights
    relu, criterion = mygrad.nnet.activations.relu, mygrad.nnet.losses.softmax_crossentropy

    def train_step() -> object:
        outputs = x
        for weight, bias in hidden:
            outputs = relu(mygrad.matmul(outputs, weight) + bias)
        loss = criterion(mygrad.matmul(outputs, last_weight) + last_bias, y)
        loss.backward()
        for pair in weights:
            for parameter in pair:
                parameter.data -= RATE * parameter.grad
        return loss

    return train_step
