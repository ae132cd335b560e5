"""Philox4x32-10 in NumPy, as in the paper: the reference of the kernels in `philox.py`.

Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
"""

from __future__ import annotations

import math

import numpy as np

LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def philox4x32(counter: np.ndarray, key: tuple[int, int], rounds: int = 10) -> np.ndarray:
    """Return four words for each row of four counter words: (N, 4) uint64 of 32-bit values."""
    c = [np.asarray(counter[:, k], np.uint64) for k in range(4)]
    k0, k1 = key
    for _ in range(rounds):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (p1 >> SHIFT) ^ c[1] ^ np.uint64(k0),
            p1 & LOW,
            (p0 >> SHIFT) ^ c[3] ^ np.uint64(k1),
            p0 & LOW,
        ]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack(c, axis=1)


def words(seed: int, draw: int, blocks: int) -> np.ndarray:
    """Return the words of blocks 0, 1, ... of a draw: (blocks, 4)."""
    counter = np.zeros((blocks, 4), np.uint64)
    counter[:, 0] = np.arange(blocks)
    counter[:, 2], counter[:, 3] = draw % 2**32, draw % 2**64 >> 32
    return philox4x32(counter, (seed % 2**32, seed % 2**64 >> 32))


def unit64(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return (((high << SHIFT) | low) >> np.uint64(11)).astype(float) * 2.0**-53


def pairs(seed: int, draw: int, size: int) -> np.ndarray:
    """Return two 64-bit uniforms for each block, flat."""
    w = words(seed, draw, (size + 1) // 2)
    return np.stack([unit64(w[:, 0], w[:, 1]), unit64(w[:, 2], w[:, 3])], axis=1)


def np_uniform(seed: int, draw: int, shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape)
    return pairs(seed, draw, size).reshape(-1)[:size].reshape(shape)


def np_uniform32(seed: int, draw: int, shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape)
    bits = words(seed, draw, (size + 3) // 4).reshape(-1)[:size].reshape(shape)
    return (bits >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)


def np_normal(seed: int, draw: int, shape: tuple[int, ...]) -> np.ndarray:
    """Box-Muller transform; 2 pi v is reduced to a right angle before it is rounded."""
    size = math.prod(shape)
    u, v = pairs(seed, draw, size).T
    radius, whole = np.sqrt(-2 * np.log(1 - u)), np.rint(4 * v)
    angle, quadrant = (4 * v - whole) * (np.pi / 2), whole.astype(int) % 4
    sin, cos = np.sin(angle), np.cos(angle)
    both = (
        np.stack(
            [
                np.choose(quadrant, [cos, -sin, -cos, sin]),
                np.choose(quadrant, [sin, cos, -sin, -cos]),
            ],
            axis=1,
        )
        * radius[:, None]
    )
    return both.reshape(-1)[:size].reshape(shape)


def np_integers(seed: int, draw: int, shape: tuple[int, ...], low: int, span: int) -> np.ndarray:
    size = math.prod(shape)
    w = words(seed, draw, (size + 1) // 2)
    bits = np.stack([(w[:, 0] << SHIFT) | w[:, 1], (w[:, 2] << SHIFT) | w[:, 3]], axis=1)
    return (low + (bits % np.uint64(span)).astype(np.int64)).reshape(-1)[:size].reshape(shape)


def np_mask(seed: int, draw: int, shape: tuple[int, ...], p: float) -> np.ndarray:
    return np_uniform32(seed, draw, shape) >= np.float32(p)
