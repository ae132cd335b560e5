"""Datasets drawn from a formula: points in the plane whose classes no straight line parts."""

from __future__ import annotations

import numpy as np

from .._common.array import Array
from .._common.random import generator
from .._common.validation import check_int
from .dataset import Dataset


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
    arms = check_int("arms", arms, minimum=1, example=3)
    points = check_int("points", points, minimum=1, example=100)
    _check_noise(noise, example=0.2)
    arm = np.repeat(np.arange(arms), points)  # (N,)
    radius = np.tile(np.arange(1, points + 1) / points, arms)  # (N,)
    angle = 4 * radius + 2 * np.pi * arm / arms
    angle += noise * generator(seed, "spiral").standard_normal(arms * points)
    x = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)  # (N, 2)
    names = tuple(f"arm {k}" for k in range(arms))
    return _dataset("spiral", x, arm, names, "generated, after Stanford CS231n")


def moons(points: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    r"""Two half circles that reach into each other, of ``points`` points each: x (2 * points, 2).

    With a from 0 to pi in equal steps, both ends included, the points are

        upper moon, y = 0:  (cos a, sin a)
        lower moon, y = 1:  (1 - cos a, 1/2 - sin a)

    and ``noise`` is the standard deviation of what is added to each coordinate.

    Raises:
        TypeError: ``points`` or ``seed`` is not an integer.
        ValueError: ``points`` is below 1, or ``noise`` or ``seed`` is negative.

    The points of scikit-learn's ``make_moons``,
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.make_moons.html

    >>> moons(points=50)
    Dataset('moons', rows=100, features=2, classes=2)
    """
    points = check_int("points", points, minimum=1, example=100)
    _check_noise(noise, example=0.1)
    angle = np.linspace(0, np.pi, points)  # (P,)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (P, 2)
    x = np.concatenate([upper, [1, 0.5] - upper])  # (2 P, 2)
    x += noise * generator(seed, "moons").standard_normal(x.shape)
    y = np.repeat(np.arange(2), points)
    return _dataset("moons", x, y, ("upper", "lower"), "generated, after scikit-learn's make_moons")


def circles(points: int = 100, noise: float = 0.05, factor: float = 0.5, seed: int = 0) -> Dataset:
    r"""A circle inside a circle, of ``points`` points each: x float32 (2 * points, 2).

    With a = 2 pi i / P for i = 0 ... P-1, the points are

        outer circle, y = 0:  (cos a, sin a)
        inner circle, y = 1:  factor * (cos a, sin a)

    and ``noise`` is the standard deviation of what is added to each coordinate.

    Raises:
        TypeError: ``points`` or ``seed`` is not an integer.
        ValueError: ``points`` is below 1, ``noise`` or ``seed`` is negative, or ``factor`` is not
            between 0 and 1.

    The points of scikit-learn's ``make_circles``, with its noise and factor chosen so that the
    circles keep apart,
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.make_circles.html

    >>> circles(points=50)
    Dataset('circles', rows=100, features=2, classes=2)
    """
    points = check_int("points", points, minimum=1, example=100)
    _check_noise(noise, example=0.05)
    if not 0 <= factor < 1:
        raise ValueError(f"factor must be from 0 to below 1, got {factor}; write factor=0.5")
    angle = 2 * np.pi * np.arange(points) / points  # (P,)
    outer = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (P, 2)
    x = np.concatenate([outer, factor * outer])  # (2 P, 2)
    x += noise * generator(seed, "circles").standard_normal(x.shape)
    y = np.repeat(np.arange(2), points)
    source = "generated, after scikit-learn's make_circles"
    return _dataset("circles", x, y, ("outer", "inner"), source)


def xor(points: int = 100, noise: float = 0.2, seed: int = 0) -> Dataset:
    r"""The four corners of a square, a class for each diagonal: x float32 (4 * points, 2).

    ``points`` points lie about each corner (u, v) of {-1, 1} x {-1, 1}, and ``y`` is 1 where the
    signs of u and v differ: exclusive or, the example of what no single layer can learn.
    ``noise`` is the standard deviation of each coordinate about its corner.

    Raises:
        TypeError: ``points`` or ``seed`` is not an integer.
        ValueError: ``points`` is below 1, or ``noise`` or ``seed`` is negative.

    M. Minsky and S. Papert, "Perceptrons", MIT Press, 1969.

    >>> xor(points=25)
    Dataset('xor', rows=100, features=2, classes=2)
    """
    points = check_int("points", points, minimum=1, example=100)
    _check_noise(noise, example=0.2)
    corner = np.repeat([[-1, -1], [1, 1], [-1, 1], [1, -1]], points, axis=0)  # (4 P, 2)
    x = corner + noise * generator(seed, "xor").standard_normal(corner.shape)
    y = np.repeat([0, 0, 1, 1], points)
    return _dataset("xor", x, y, ("same", "different"), "generated, after Minsky and Papert, 1969")


def _check_noise(noise: float, example: float) -> None:
    if not noise >= 0:
        raise ValueError(f"noise must not be negative, got {noise}; write noise={example}")


def _dataset(name: str, x: Array, y: Array, classes: tuple[str, ...], source: str) -> Dataset:
    return Dataset(name, x.astype(np.float32), y.astype(np.int64), classes, source=source)
