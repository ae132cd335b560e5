"""The textbook matrix product, which every kernel of this folder must equal."""

from __future__ import annotations

import numpy as np


def textbook(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute C[i, j] = sum over k of A[i, k] B[k, j] in three loops.

    >>> textbook(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    c = np.zeros((a.shape[0], b.shape[1]), np.result_type(a, b))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
    return c
