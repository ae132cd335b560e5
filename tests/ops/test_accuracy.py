"""Functions of one number over their whole domain, in units in the last place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.ops.elementwise import activation

EXTENDED = np.finfo(np.longdouble).nmant > np.finfo(float).nmant  # else nothing to compare with

FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    name: (getattr(tg, name), getattr(np, numpy_name or name))
    for name, numpy_name in {
        "exp": "",
        "expm1": "",
        "exp2": "",
        "log": "",
        "log1p": "",
        "log2": "",
        "log10": "",
        "sqrt": "",
        "sin": "",
        "cos": "",
        "tan": "",
        "sinh": "",
        "cosh": "",
        "tanh": "",
        "asin": "arcsin",
        "acos": "arccos",
        "atan": "arctan",
        "asinh": "arcsinh",
        "acosh": "arccosh",
        "atanh": "arctanh",
    }.items()
}
FUNCTIONS["rsqrt"] = (tg.rsqrt, lambda x: 1 / np.sqrt(x))
FUNCTIONS["sigmoid"] = (tg.sigmoid, lambda x: 1 / (1 + np.exp(-x)))
FUNCTIONS["silu"] = (activation.silu, lambda x: x / (1 + np.exp(-x)))
FUNCTIONS["softplus"] = (
    lambda x: activation.softplus(x, 1, 20),
    lambda x: np.where(x > 20, x, np.log1p(np.exp(x))),
)


def sample(dtype: str) -> np.ndarray:
    """Numbers of all sizes, and those where exponentials begin to overflow and underflow."""
    generator = np.random.default_rng(0)
    tiny_to_huge = 10.0 ** generator.uniform(-30, 30, 1000)
    edges = [0.0, 1.0, 87, 88.5, 88.8, 103, 104, 709, 709.7, 709.8, 745, 746]
    parts = [
        generator.uniform(-100, 100, 3000),
        generator.uniform(-1, 1, 2000),
        tiny_to_huge,
        edges,
    ]
    x = np.concatenate(parts)
    return np.concatenate([x, -x]).astype(dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "dtype",
    [
        "float32",
        pytest.param(
            "float64",
            marks=pytest.mark.skipif(not EXTENDED, reason="no wider float on this machine"),
        ),
    ],
)
def test_within_two_and_a_half_units(name: str, dtype: str) -> None:
    function, reference = FUNCTIONS[name]
    x = sample(dtype)
    found = function(tg.tensor(x)).numpy()
    with np.errstate(all="ignore"):
        wanted = reference(x.astype(np.longdouble))
        rounded = wanted.astype(dtype)
    limits = np.finfo(dtype)
    normal = np.isfinite(rounded) & (abs(rounded) > 1000 * limits.tiny)
    unit = np.spacing(abs(rounded[normal]))
    errors = abs(found[normal] - wanted[normal]) / unit
    worst = errors.argmax()
    assert errors[worst] <= 2.5, f"{name}({x[normal][worst]}) is {found[normal][worst]}"
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rounded))
    infinite = np.isinf(rounded)
    np.testing.assert_array_equal(found[infinite], rounded[infinite])
    subnormal = np.isfinite(rounded) & ~normal
    assert (abs(found[subnormal] - wanted[subnormal]) <= 1000 * limits.tiny).all()
