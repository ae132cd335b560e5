"""The cosine of the schedules: in ulp of the exact value, and the same on every processor."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np

from tinygrad_mlp.optim.lr_scheduler.cosine import BITS, ONE, TURN, cos


def exact(x: float) -> float:
    """Sum Taylor's series in fractions, without a reduction."""
    term = total = Fraction(1)
    for k in range(2, 120, 2):
        term = -term * Fraction(x) ** 2 / (k * (k - 1))
        total += term
    return float(total)


def test_is_correctly_rounded() -> None:
    generator = np.random.default_rng(0)
    for x in [*generator.uniform(-10, 10, 300), 0.0, -0.0, 1e-9, math.pi / 2, math.pi, 3 * math.pi]:
        assert cos(float(x)) == exact(float(x)), x


def test_far_from_zero() -> None:
    assert cos(1e6) == 0.9367521275331447  # Abramowitz and Stegun's series gives the same
    assert abs(TURN / ONE - 2 * math.pi) < 1e-15
    assert BITS == 128
    for x in np.random.default_rng(1).uniform(-1e7, 1e7, 300):
        assert abs(cos(float(x)) - math.cos(x)) < 2e-16


def test_bits_are_those_recorded() -> None:
    found = np.array([cos(k / 128) for k in range(5000)])
    assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == "d755b8992a3d21de"
