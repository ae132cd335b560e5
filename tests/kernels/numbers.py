"""Inputs of tests that are made of integers: the same bits on every machine."""

from __future__ import annotations

import math

import numpy as np


def words(count: int, seed: int) -> np.ndarray:
    """Return ``count`` uint64 from a counter."""
    counter = np.arange(count, dtype=np.uint64) + np.uint64(7919 * seed)
    mixed = (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


def numbers(*shape: int, dtype: str, seed: int = 0) -> np.ndarray:
    """Return numbers from -8 to 8 with all bits of the dtype, computed exactly on any machine."""
    bits = np.finfo(dtype).nmant + 1
    whole = (words(math.prod(shape), seed) >> np.uint64(64 - bits)).astype(np.int64)
    return ((whole - 2 ** (bits - 1)) / 2.0 ** (bits - 4)).astype(dtype).reshape(shape)
