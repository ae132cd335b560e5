"""Keras on JAX: `train_on_batch`, which returns the loss as a Python number."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from workload import RATE, Workload

NORMS = {
    "BatchNorm1d": ("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5}),
    "LayerNorm": ("LayerNormalization", {"epsilon": 1e-5}),
}


def select_backend() -> None:
    """Select JAX as the backend; call this before Keras is imported."""
    os.environ["KERAS_BACKEND"] = "jax"


def step(workload: Workload, keras: Any) -> Callable[[], object] | None:
    """Return the step of a compiled `Sequential`: ReLU, cross-entropy, SGD or Adam only."""
    functions = (workload.activation, workload.loss)
    if functions != ("ReLU", "cross-entropy") or workload.optimizer not in ("SGD", "Adam"):
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
    """Return all layers in order."""
    stack = []
    for size in workload.sizes[1:-1]:
        stack.append(keras.layers.Dense(size))
        if workload.norm:
            name, options = NORMS[workload.norm]
            stack.append(getattr(keras.layers, name)(**options))
        stack.append(keras.layers.ReLU())
        if workload.dropout:
            stack.append(keras.layers.Dropout(workload.dropout))
    return [*stack, keras.layers.Dense(workload.sizes[-1])]
