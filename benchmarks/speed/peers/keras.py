"""Keras on JAX: `train_on_batch`, which returns the loss as a number."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from workload import RATE, Workload

NORMS = {
    "BatchNorm1d": ("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5}),
    "LayerNorm": ("LayerNormalization", {"epsilon": 1e-5}),
}


def backend() -> None:
    """To be called before Keras is imported."""
    os.environ["KERAS_BACKEND"] = "jax"


def step(workload: Workload, keras: Any) -> Callable[[], object] | None:
    """A compiled `Sequential`; None for more than ReLU, cross-entropy, SGD and Adam."""
    wanted = (workload.activation, workload.loss)
    known = workload.optimizer in ("SGD", "Adam")
    if wanted != ("ReLU", "cross-entropy") or not known:
        return None
    model = keras.Sequential([keras.Input((workload.sizes[0],)), *layers(workload, keras)])
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for layer, arrays in zip(dense, workload.weights(), strict=True):
        layer.set_weights(arrays)
    model.compile(
        optimizer=getattr(keras.optimizers, workload.optimizer)(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x, y = map(keras.ops.convert_to_tensor, workload.data())
    return lambda: model.train_on_batch(x, y)


def layers(workload: Workload, keras: Any) -> list[Any]:
    """All layers in order."""
    found = []
    for size in workload.sizes[1:-1]:
        found.append(keras.layers.Dense(size))
        if workload.norm:
            name, options = NORMS[workload.norm]
            found.append(getattr(keras.layers, name)(**options))
        found.append(keras.layers.ReLU())
        if workload.dropout:
            found.append(keras.layers.Dropout(workload.dropout))
    return [*found, keras.layers.Dense(workload.sizes[-1])]
