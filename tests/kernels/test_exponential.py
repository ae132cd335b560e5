"""The vector exp against NumPy's in float64."""

import math

import numpy as np
from numba import float32, int64

from tinygrad_mlp.kernels.exponential import exponential
from tinygrad_mlp.kernels.launch import Launch, compiled
from tinygrad_mlp.kernels.memory import address_of, pointer


def every(arguments, thread, threads):
    words = pointer(arguments, int64)
    x, out = pointer(words[1], float32), pointer(words[2], float32)
    for i in range(pointer(words[0], int64)[0]):
        out[i] = exponential(x[i])


def exp32(values):
    x = np.asarray(values, "float32")
    out = np.full_like(x, -1)
    Launch(compiled(every), 2, [x.size], 0)(address_of(x), address_of(out))
    return x, out


def test_one_unit_in_the_last_place():
    x, found = exp32(np.linspace(-87.33, 88.72, 1_000_003))
    exact = np.exp(x.astype("float64"))
    assert (abs(found - exact) / exact).max() < 1.2e-7


def test_special_values():
    given = [0.0, -0.0, math.inf, -math.inf, math.nan, 89.0, -88.0, -1e30, 1e30]
    wanted = [1.0, 1.0, math.inf, 0.0, math.nan, math.inf, 0.0, 0.0, math.inf]
    np.testing.assert_array_equal(exp32(given)[1], np.float32(wanted))
