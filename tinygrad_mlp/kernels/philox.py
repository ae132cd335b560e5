"""Random numbers from a counter: Philox4x32-10, the same for any number of threads.

A counter-based generator is a function without internal state: block i of draw d under seed s is
philox(i, d, s), ten rounds of multiplication and mixing. Any thread can compute any part. The state
is two words, [seed, number of draws so far]; each draw increments the second.

Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

Constants: number of elements, then those of the kernel.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import float32, float64, int64, njit, uint8, uint32, uint64

from .runtime.launch import compiled
from .runtime.memory import pointer, words_of
from .runtime.slices import slice_of
from .vmath import log
from .vmath.bits import word
from .vmath.trigonometric import PI_HALVES, WHOLE, sine

STATE, OUT = 1, 2  # words
SIZE, DROP, LOW, SPAN = 0, 1, 1, 2  # constants
SEED, DRAW = 0, 1  # words of the state


@njit(inline="always")
def philox(block, draw, seed):
    """Return four uint32 from three 64-bit numbers.

    Each word is held in 64 bits, for products of 32 by 32 bits in vector lanes. The upper halves
    hold garbage, which is masked where it would matter.
    """
    low, half = uint64(0xFFFFFFFF), uint64(32)
    c0, c1 = uint64(block), uint64(block) >> half
    c2, c3 = uint64(draw), uint64(draw) >> half
    k0, k1 = uint64(seed) & low, uint64(seed) >> half
    for _ in range(10):
        p0, p1 = uint64(0xD2511F53) * (c0 & low), uint64(0xCD9E8D57) * (c2 & low)
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1, (p0 >> half) ^ c3 ^ k1, p0
        k0, k1 = k0 + uint64(0x9E3779B9), k1 + uint64(0xBB67AE85)
    return uint32(c0), uint32(c1), uint32(c2), uint32(c3)


@njit(inline="always")
def unit32(bits):
    """Return a float32 in [0, 1) from the upper 24 of 32 bits."""
    return float32(bits >> uint32(8)) * float32(2.0**-24)


@njit(inline="always")
def unit64(high, low):
    """Return a float64 in [0, 1) from the upper 53 of 64 bits."""
    bits = (uint64(high) << uint64(32)) | uint64(low)
    return float64(bits >> uint64(11)) * float64(2.0**-53)


def _advance(arguments, thread, threads):
    if thread == 0:
        pointer(words_of(arguments)[0][STATE], int64)[DRAW] += 1


@njit(inline="always")
def _state(words):
    """Return the seed and the number of the draw."""
    state = pointer(words[STATE], int64)
    return state[SEED], state[DRAW]


# Masks, uniform and normal numbers: the loop computes whole blocks without a branch, so that it
# vectorises; thread 0 computes the remaining elements.


def _mask(arguments, thread, threads):
    """Draw 1 with probability 1 - p; constant DROP: p as float64 bits."""
    words, sizes = words_of(arguments)
    n, blocks = sizes[SIZE], sizes[SIZE] // 4
    p = float32(pointer(words[0], float64)[DROP])
    drop = uint32(math.ceil(p * 2.0**24))  # unit32 below it
    (seed, draw), out, unused = _state(words), pointer(words[OUT], uint8), uint32(8)
    first, last = slice_of(blocks, thread, threads)
    for block in range(first, last):
        a, b, c, d = philox(block, draw, seed)
        out[block * 4] = a >> unused >= drop
        out[block * 4 + 1] = b >> unused >= drop
        out[block * 4 + 2] = c >> unused >= drop
        out[block * 4 + 3] = d >> unused >= drop
    if thread == 0:
        for lane, bits in enumerate(philox(blocks, draw, seed)):
            if blocks * 4 + lane < n:
                out[blocks * 4 + lane] = bits >> unused >= drop


def _uniform32(arguments, thread, threads):
    words, sizes = words_of(arguments)
    n, blocks = sizes[SIZE], sizes[SIZE] // 4
    (seed, draw), out = _state(words), pointer(words[OUT], float32)
    first, last = slice_of(blocks, thread, threads)
    for block in range(first, last):
        a, b, c, d = philox(block, draw, seed)
        out[block * 4] = unit32(a)
        out[block * 4 + 1] = unit32(b)
        out[block * 4 + 2] = unit32(c)
        out[block * 4 + 3] = unit32(d)
    if thread == 0:
        for lane, bits in enumerate(philox(blocks, draw, seed)):
            if blocks * 4 + lane < n:
                out[blocks * 4 + lane] = unit32(bits)


def _uniform64(arguments, thread, threads):
    words, sizes = words_of(arguments)
    n, blocks = sizes[SIZE], sizes[SIZE] // 2
    (seed, draw), out = _state(words), pointer(words[OUT], float64)
    first, last = slice_of(blocks, thread, threads)
    for block in range(first, last):
        a, b, c, d = philox(block, draw, seed)
        out[block * 2] = unit64(a, b)
        out[block * 2 + 1] = unit64(c, d)
    if thread == 0 and n % 2:
        a, b, c, d = philox(blocks, draw, seed)
        out[n - 1] = unit64(a, b)


@njit(inline="always", error_model="numpy")
def two_normals(block, draw, seed):
    """Return two float64 normals by the Box-Muller transform of two uniforms u and v.

    They are r cos(2 pi v) and r sin(2 pi v) with r = sqrt(-2 log(1 - u)). 4 v is a whole number of
    right angles and a rest, both exact.
    """
    a, b, c, d = philox(block, draw, seed)
    radius = math.sqrt(-2.0 * log(1.0 - unit64(a, b)))
    angle = 4.0 * unit64(c, d)
    whole = np.rint(angle)
    n, r = word(whole + WHOLE), (angle - whole) * PI_HALVES[0]
    return radius * sine(n + 1, r, 0.0), radius * sine(n, r, 0.0)


def _normal(real):
    def normal(arguments, thread, threads):
        """Draw normal numbers, computed in float64 for both dtypes."""
        words, sizes = words_of(arguments)
        n, (seed, draw), out = sizes[SIZE], _state(words), pointer(words[OUT], real)
        first, last = slice_of(n // 2, thread, threads)
        for block in range(first, last):
            one, other = two_normals(block, draw, seed)
            out[block * 2] = real(one)
            out[block * 2 + 1] = real(other)
        if thread == 0 and n % 2:
            out[n - 1] = real(two_normals(n // 2, draw, seed)[0])

    return normal


def _integers(arguments, thread, threads):
    """Draw integers in [low, low + span); constants LOW, SPAN."""
    words, sizes = words_of(arguments)
    n, low, span = sizes[SIZE], sizes[LOW], uint64(sizes[SPAN])
    (seed, draw), out = _state(words), pointer(words[OUT], int64)
    first, last = slice_of((n + 1) // 2, thread, threads)
    for block in range(first, last):
        a, b, c, d = philox(block, draw, seed)
        out[block * 2] = low + int64(((uint64(a) << uint64(32)) | uint64(b)) % span)
        if block * 2 + 1 < n:
            out[block * 2 + 1] = low + int64(((uint64(c) << uint64(32)) | uint64(d)) % span)


@functools.cache
def address(what: str) -> int:
    """Return the address of a kernel: mask, integers, advance, or uniform/normal with a dtype."""
    return compiled(
        {
            "mask": _mask,
            "integers": _integers,
            "advance": _advance,
            "uniform_float32": _uniform32,
            "uniform_float64": _uniform64,
            "normal_float32": _normal(float32),
            "normal_float64": _normal(float64),
        }[what]
    )
