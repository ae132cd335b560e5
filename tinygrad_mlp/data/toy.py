"""Datasets generated from a formula: points in the plane that no straight line separates."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._common.array import Array
from .._common.random import generator
from .._common.validation import check_int
from .dataset import Dataset


def spiral(arms: int = 3, points: int = 100, noise: float = 0.2, seed: int = 0) -> Dataset:
    r"""Generate interleaved spiral arms, one class per arm.

    Point i = 1 ... P of arm k = 0 ... K-1 lies at

        r = i / P,    a = 4 r + 2 pi k / K + noise * n,  n ~ N(0, 1),    x = (r sin a, r cos a)

    so an arm turns by 4 radians from the centre to the rim.

    Args:
        arms: number of arms K.
        points: points per arm P.
        noise: standard deviation of the angle, in radians.
        seed: seed of the noise.

    Returns:
        x float32 (K P, 2); y int64 (K P,), the arm k.

    Raises:
        TypeError: ``arms``, ``points`` or ``seed`` is not an integer.
        ValueError: ``arms`` or ``points`` is below 1, or ``noise`` or ``seed`` is negative.

    The spiral of Stanford's CS231n, "Putting it together: minimal neural network case study",
    https://cs231n.github.io/neural-networks-case-study/, with evenly spaced arms and without the
    point at the centre, which would belong to every arm.

    >>> spiral(arms=3, points=100)
    Dataset('spiral', rows=300, features=2, classes=3)
    """
    arms = check_int("arms", arms, minimum=1, example=3)
    points = check_int("points", points, minimum=1, example=100)
    arm = np.repeat(np.arange(arms), points)  # (N,)
    radius = np.tile(np.arange(1, points + 1) / points, arms)  # (N,)
    angle = 4 * radius + 2 * np.pi * arm / arms
    angle += _noise("spiral", (arms * points,), noise, seed, example=0.2)
    x = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)  # (N, 2)
    names = tuple(f"arm {k}" for k in range(arms))
    return _dataset("spiral", x, arm, names, "Stanford CS231n")


def moons(points: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    r"""Generate two interleaving half circles.

    With a from 0 to pi in equal steps, both ends included, the points are

        upper moon, y = 0:  (cos a, sin a)
        lower moon, y = 1:  (1 - cos a, 1/2 - sin a)

    Args:
        points: points per moon P.
        noise: standard deviation of the noise in each coordinate.
        seed: seed of the noise.

    Returns:
        x float32 (2 P, 2); y int64 (2 P,).

    Raises:
        TypeError: ``points`` or ``seed`` is not an integer.
        ValueError: ``points`` is below 1, or ``noise`` or ``seed`` is negative.

    The points of scikit-learn's ``make_moons``,
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.make_moons.html

    >>> moons(points=50)
    Dataset('moons', rows=100, features=2, classes=2)
    """
    points = check_int("points", points, minimum=1, example=100)
    angle = np.linspace(0, np.pi, points)  # (P,)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (P, 2)
    x = np.concatenate([upper, [1, 0.5] - upper])  # (2 P, 2)
    x += _noise("moons", x.shape, noise, seed, example=0.1)
    y = np.repeat([0, 1], points)
    return _dataset("moons", x, y, ("upper", "lower"), "scikit-learn's make_moons")


def circles(points: int = 100, noise: float = 0.05, factor: float = 0.5, seed: int = 0) -> Dataset:
    r"""Generate a circle inside a circle.

    With a = 2 pi i / P for i = 0 ... P-1, the points are

        outer circle, y = 0:  (cos a, sin a)
        inner circle, y = 1:  factor * (cos a, sin a)

    Args:
        points: points per circle P.
        noise: standard deviation of the noise in each coordinate.
        factor: radius of the inner circle.
        seed: seed of the noise.

    Returns:
        x float32 (2 P, 2); y int64 (2 P,).

    Raises:
        TypeError: ``points`` or ``seed`` is not an integer.
        ValueError: ``points`` is below 1, ``noise`` or ``seed`` is negative, or ``factor`` is not
            from 0 to below 1.

    The points of scikit-learn's ``make_circles``, with noise and factor chosen so that the circles
    do not overlap,
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.make_circles.html

    >>> circles(points=50)
    Dataset('circles', rows=100, features=2, classes=2)
    """
    points = check_int("points", points, minimum=1, example=100)
    if not (isinstance(factor, Real) and 0 <= factor < 1):
        raise ValueError(f"factor must be from 0 to below 1, got {factor!r}; write factor=0.5")
    angle = 2 * np.pi * np.arange(points) / points  # (P,)
    outer = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (P, 2)
    x = np.concatenate([outer, factor * outer])  # (2 P, 2)
    x += _noise("circles", x.shape, noise, seed, example=0.05)
    y = np.repeat([0, 1], points)
    return _dataset("circles", x, y, ("outer", "inner"), "scikit-learn's make_circles")


def xor(points: int = 100, noise: float = 0.2, seed: int = 0) -> Dataset:
    r"""Generate four clusters at the corners of a square; diagonal corners share a class.

    The corners are (u, v) of {-1, 1} x {-1, 1}; y is 1 where the signs of u and v differ:
    exclusive or, the standard example of a function that a single layer cannot represent.

    Args:
        points: points per corner P.
        noise: standard deviation of each coordinate about its corner.
        seed: seed of the noise.

    Returns:
        x float32 (4 P, 2); y int64 (4 P,).

    Raises:
        TypeError: ``points`` or ``seed`` is not an integer.
        ValueError: ``points`` is below 1, or ``noise`` or ``seed`` is negative.

    M. Minsky and S. Papert, "Perceptrons", MIT Press, 1969.

    >>> xor(points=25)
    Dataset('xor', rows=100, features=2, classes=2)
    """
    points = check_int("points", points, minimum=1, example=100)
    corner = np.repeat([[-1, -1], [1, 1], [-1, 1], [1, -1]], points, axis=0)  # (4 P, 2)
    x = corner + _noise("xor", corner.shape, noise, seed, example=0.2)
    y = np.repeat([0, 0, 1, 1], points)
    return _dataset("xor", x, y, ("same", "different"), "Minsky and Papert, 1969")


def _noise(name: str, shape: tuple[int, ...], noise: float, seed: int, example: float) -> Array:
    if not (isinstance(noise, Real) and noise >= 0):
        raise ValueError(f"noise must be 0 or more, got {noise!r}; write noise={example}")
    return noise * generator(seed, name).standard_normal(shape)


def _dataset(name: str, x: Array, y: Array, classes: tuple[str, ...], source: str) -> Dataset:
    x, y = x.astype(np.float32), y.astype(np.int64)
    return Dataset(name, x, y, classes, source=f"generated, after {source}")
