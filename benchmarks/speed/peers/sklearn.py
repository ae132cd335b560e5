"""scikit-learn: `MLPClassifier.partial_fit` on one batch, which is one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from workload import RATE, Workload


def step(workload: Workload, sklearn: Any) -> Callable[[], object] | None:
    """Return the step: ReLU, cross-entropy of three classes or more, SGD or Adam only."""
    unsupported = workload.norm or workload.dropout or workload.sizes[-1] == 2
    functions = (workload.activation, workload.loss)
    if (
        unsupported
        or functions != ("ReLU", "cross-entropy")
        or workload.optimizer not in ("SGD", "Adam")
    ):
        return None
    x, y = workload.data()
    model = sklearn.neural_network.MLPClassifier(
        workload.sizes[1:-1],
        solver=workload.optimizer.lower(),
        learning_rate_init=RATE,
        alpha=0,
        momentum=0,
        nesterovs_momentum=False,
        batch_size=workload.batch,
        shuffle=False,
    )
    model.partial_fit(x, y, classes=np.arange(workload.sizes[-1]))  # allocates the arrays
    arrays = zip(model.coefs_, model.intercepts_, strict=True)
    for (weight, bias), initial in zip(arrays, workload.weights(), strict=True):
        weight[...], bias[...] = initial
    del model._optimizer  # its step count is 1 already

    def train_step() -> object:
        model.partial_fit(x, y)
        return model.loss_

    return train_step
