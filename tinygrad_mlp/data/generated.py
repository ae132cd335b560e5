"""Datasets drawn from a formula: points in the plane whose classes no straight line parts."""

from __future__ import annotations

import numpy as np

from .arguments import whole
from .dataset import Dataset
from .random import generator


def spiral(arms: int = 3, points: int = 100, noise: float = 0.2, seed: int = 0) -> Dataset:
    r"""``arms`` interleaved spiral arms of ``points`` points each: x float32 (arms * points, 2).

    Point i = 1 ... P of arm k = 0 ... K-1 lies at

        r = i / P,    a = 4 r + 2 pi k / K + noise * n,  n ~ N(0, 1),    x = (r sin a, r cos a)

    so an arm turns by 4 radians from the centre to the rim. ``y`` is k, int64.

    Raises:
        TypeError: ``arms``, ``points`` or ``seed`` is not an integer.
        ValueError: ``arms`` or ``points`` is below 1, or ``noise`` or ``seed`` is negative.

    The spiral of Stanford's CS231n, "Putting it together: minimal neural network case study",
    https://cs231n.github.io/neural-networks-case-study/, with its arms spaced evenly and without
    the point at the centre, which belongs to every arm.

    >>> spiral(arms=3, points=100)
    Dataset('spiral', rows=300, features=2, classes=3)
    """
    arms = whole("arms", arms, least=1, write=3)
    points = whole("points", points, least=1, write=100)
    if not noise >= 0:
        raise ValueError(f"noise must not be negative, got {noise}; write noise=0.2")
    arm = np.repeat(np.arange(arms), points)  # (N,)
    radius = np.tile(np.arange(1, points + 1) / points, arms)  # (N,)
    angle = 4 * radius + 2 * np.pi * arm / arms
    angle += noise * generator(seed, "spiral").standard_normal(arms * points)
    x = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)  # (N, 2)
    return Dataset(
        name="spiral",
        x=x.astype(np.float32),
        y=arm.astype(np.int64),
        classes=tuple(f"arm {k}" for k in range(arms)),
        source="generated, after Stanford CS231n",
    )
