"""What a trained network says of rows."""

from __future__ import annotations

import numpy as np

from .._common.array import Array
from ..autograd.modes import no_grad
from ..nn import Module
from ..nn import functional as F
from ..ops.create import tensor
from .validation import keeping_modes, model_dtype

ROWS = 4096  # at a time, so that hidden layers of many rows need no more memory than of few


def outputs_of(model: Module, x: Array) -> Array:
    """The outputs of ``model`` in eval mode for rows x (N, ...), cast to its dtype."""
    rows = x.astype(model_dtype(model))
    with keeping_modes(model), no_grad():
        model.eval()
        parts = [model(tensor(rows[k : k + ROWS])).numpy() for k in range(0, len(rows), ROWS)]
    outputs: Array = np.concatenate(parts)
    return outputs


def softmax(logits: Array) -> Array:
    """The probabilities that logits (N, C) mean: (N, C)."""
    with no_grad():
        probabilities: Array = F.softmax(tensor(logits), dim=1).numpy()
    return probabilities
