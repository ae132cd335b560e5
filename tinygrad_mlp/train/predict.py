"""Compute a model's outputs for many rows, in eval mode."""

from __future__ import annotations

import numpy as np

from .._common.array import Array
from ..autograd.modes import no_grad
from ..nn import Module
from ..nn import functional as F
from ..ops.create import tensor
from .validation import model_dtype, preserve_modes

ROWS = 4096  # per batch, which bounds the memory for hidden layers


def predict(model: Module, x: Array) -> Array:
    """Return the outputs of ``model`` in eval mode for rows x (N, ...), cast to its dtype."""
    x = x.astype(model_dtype(model))
    with preserve_modes(model), no_grad():
        model.eval()
        parts = [model(tensor(x[k : k + ROWS])).numpy() for k in range(0, len(x), ROWS)]
    outputs: Array = np.concatenate(parts)
    return outputs


def softmax(logits: Array) -> Array:
    """Return the probabilities of the classes for logits (N, C): (N, C)."""
    with no_grad():
        probabilities: Array = F.softmax(tensor(logits), dim=1).numpy()
    return probabilities
