"""Vector mathematics in units in the last place, through the kernels that are generated for it.

The test over all 2^32 numbers of float32 takes about a minute a function, and runs on demand:

    TINYGRAD_MLP_EXHAUSTIVE=1 python -m pytest tests/kernels/vmath/test_vmath.py -m exhaustive
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import float32, float64, njit

from tinygrad_mlp.kernels import vmath
from tinygrad_mlp.kernels.codegen import expression as scalar
from tinygrad_mlp.kernels.codegen.elementwise import Formula, Operand, address
from tinygrad_mlp.kernels.runtime.launch import Launch
from tinygrad_mlp.kernels.runtime.memory import address_of

EXTENDED = np.finfo(np.longdouble).nmant > np.finfo(float).nmant
INF, NAN = math.inf, math.nan


def computed(name: str, *inputs: np.ndarray) -> np.ndarray:
    """Return a function of vmath over arrays, as a generated kernel."""
    names = ("x", "y")[: len(inputs)]
    expression = scalar.Expression(name, [scalar.Expression("input", value=n) for n in names])
    dtype = str(inputs[0].dtype)
    formula = Formula(f"vmath_{name}", names, (("result", expression),))
    operands = tuple(Operand(n, dtype, "c") for n in (*names, "result"))
    out = np.empty_like(inputs[0])
    constants = [0, 1, out.size] + [1] * len(operands)
    launch = Launch(address(formula, operands, dtype), len(operands), constants, 0)
    launch(*map(address_of, inputs), address_of(out))
    return out


def sigmoid(x):
    t = np.exp(-abs(x))
    return np.where(x < 0, t, 1) / (1 + t)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


@njit(cache=True)
def _erf(x, out):
    for i in range(x.size):
        out[i] = math.erf(x[i])


def erf(x):
    """In float64: NumPy has no erf, and no library here has one in longdouble."""
    out = np.empty(x.size)
    _erf(x.astype("float64"), out)
    return out


REFERENCE = {
    name: getattr(np, name.replace("a", "arc", 1) if name[0] == "a" else name, None)
    for name in vmath.UNARY
}
REFERENCE |= {
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "rsqrt": lambda x: 1 / np.sqrt(x),
}


def units_off(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return |found - wanted| in ulp of ``wanted``; infinite where only one is NaN.

    Gradual underflow: among the subnormals all units are the smallest one. A result that is
    infinite or NaN must be what ``wanted`` rounds to, and a zero have its sign.
    """
    limits = np.finfo(found.dtype)
    with np.errstate(all="ignore"):
        rounded = wanted.astype(found.dtype)
        _, exponent = np.frexp(wanted)
        least = limits.minexp - limits.nmant
        unit = np.ldexp(wanted.dtype.type(1), np.maximum(exponent - 1 - limits.nmant, least))
        off = abs(found.astype(wanted.dtype) - wanted) / unit
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    off = np.where(np.isfinite(found) & np.isfinite(rounded), off, np.where(same, 0, INF))
    zero = (found == 0) & (rounded == 0)
    return np.where(zero & (np.signbit(found) != np.signbit(rounded)), INF, off)


def check(name: str, found: np.ndarray, wanted: np.ndarray, most: float, *inputs) -> None:
    off = units_off(found, wanted)
    worst = off.argmax()
    at = ", ".join(repr(x[worst]) for x in inputs)
    assert off[worst] <= most, f"{name}({at}) is {found[worst]}, {float(off[worst]):.3f} ulp off"


def float64_sample() -> np.ndarray:
    """Return numbers of all sizes, bit patterns, and numbers near multiples of pi/2."""
    generator = np.random.default_rng(0)
    n = 20_000
    signs = generator.choice([-1, 1], n)
    return np.concatenate(
        [
            generator.uniform(-1, 1, n),
            generator.uniform(-50, 50, n),
            generator.uniform(-750, 750, n),
            generator.uniform(0.4, 2.5, n),
            generator.uniform(-1100, 1100, n),
            np.exp(generator.uniform(-740, 709, n)) * signs,
            np.exp(generator.uniform(-40, 5, n)) * signs,
            generator.integers(0, 2**64, n, dtype="uint64").view("float64"),
            np.round(generator.uniform(-1e6, 1e6, n)) * (np.pi / 2),
        ]
    )


@pytest.mark.parametrize("name", vmath.UNARY)
def test_float32_on_every_4099th_number(name: str) -> None:
    x = np.arange(0, 2**32, 4099, dtype="uint32").view("float32")
    with np.errstate(all="ignore"):
        wanted = REFERENCE[name](x.astype("float64"))
    check(name, computed(name, x), wanted, 2, x)


@pytest.mark.parametrize("name", vmath.UNARY)
@pytest.mark.skipif(not EXTENDED, reason="no wider float on this machine")
def test_float64_on_a_dense_sample(name: str) -> None:
    x = float64_sample()
    with np.errstate(all="ignore"):
        wanted = REFERENCE[name](x.astype(np.longdouble))
    check(name, computed(name, x), wanted, 4, x)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", vmath.UNARY)
def test_float32_on_all_numbers(name: str) -> None:
    chunk = 2**22
    for first in range(0, 2**32, chunk):
        x = np.arange(first, first + chunk, dtype="uint32").view("float32")
        with np.errstate(all="ignore"):
            wanted = REFERENCE[name](x.astype("float64"))
        found = computed(name, x)
        if worst_of(found, wanted) > 2:
            check(name, found, wanted, 2, x)


@njit([float64(float32[::1], float64[::1])], cache=True, error_model="numpy")
def worst_of(found, wanted):
    """Return the largest of `units_off`, in one pass."""
    worst = 0.0
    for i in range(found.size):
        rounded = np.float32(wanted[i])
        off = 0.0
        if math.isfinite(rounded) and math.isfinite(found[i]):
            _, exponent = math.frexp(wanted[i])
            off = abs(np.float64(found[i]) - wanted[i]) / math.ldexp(1.0, max(exponent - 24, -149))
            if found[i] == 0 and math.copysign(1.0, found[i]) != math.copysign(1.0, wanted[i]):
                off = math.inf
        elif found[i] != rounded and not (math.isnan(rounded) and math.isnan(found[i])):
            off = math.inf
        worst = max(worst, off)
    return worst


SPECIAL = {  # the results for 0, -0, inf, -inf and NaN
    "acos": (math.pi / 2, math.pi / 2, NAN, NAN, NAN),
    "acosh": (NAN, NAN, INF, NAN, NAN),
    "asin": (0, -0.0, NAN, NAN, NAN),
    "asinh": (0, -0.0, INF, -INF, NAN),
    "atan": (0, -0.0, math.pi / 2, -math.pi / 2, NAN),
    "atanh": (0, -0.0, NAN, NAN, NAN),
    "cos": (1, 1, NAN, NAN, NAN),
    "cosh": (1, 1, INF, INF, NAN),
    "erf": (0, -0.0, 1, -1, NAN),
    "exp": (1, 1, INF, 0, NAN),
    "exp2": (1, 1, INF, 0, NAN),
    "expm1": (0, -0.0, INF, -1, NAN),
    "log": (-INF, -INF, INF, NAN, NAN),
    "log10": (-INF, -INF, INF, NAN, NAN),
    "log1p": (0, -0.0, INF, NAN, NAN),
    "log2": (-INF, -INF, INF, NAN, NAN),
    "rsqrt": (INF, -INF, 0, NAN, NAN),
    "sigmoid": (0.5, 0.5, 1, 0, NAN),
    "sin": (0, -0.0, NAN, NAN, NAN),
    "sinh": (0, -0.0, INF, -INF, NAN),
    "softplus": (math.log(2), math.log(2), INF, 0, NAN),
    "sqrt": (0, -0.0, INF, NAN, NAN),
    "tan": (0, -0.0, NAN, NAN, NAN),
    "tanh": (0, -0.0, 1, -1, NAN),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", vmath.UNARY)
def test_special_values(name: str, dtype: str) -> None:
    """As scalars, and in every lane of a vector."""
    x = np.array([0.0, -0.0, INF, -INF, NAN], dtype)
    wanted = np.array(SPECIAL[name], dtype)
    for repeats in (1, 40):
        found = computed(name, np.tile(x, repeats))
        np.testing.assert_array_equal(found, np.tile(wanted, repeats))
        zero = found == 0
        np.testing.assert_array_equal(
            np.signbit(found[zero]), np.signbit(np.tile(wanted, repeats)[zero])
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    ["asin", "asinh", "atan", "atanh", "erf", "expm1", "log1p", "sin", "sinh", "tan", "tanh"],
)
def test_the_smallest_numbers(name: str, dtype: str) -> None:
    """For subnormal x, f(x) of these functions is x or 2/sqrt(pi) x."""
    limits = np.finfo(dtype)
    x = limits.smallest_subnormal * 2.0 ** np.arange(limits.nmant + 3, dtype=dtype)
    x = np.concatenate([x, -x])
    slope = 2 / math.sqrt(math.pi) if name == "erf" else 1
    check(name, computed(name, x), x * np.longdouble(slope), 1, x)


def test_the_number_that_is_nearest_to_a_multiple_of_half_pi() -> None:
    """J.-M. Muller, Elementary Functions, 3rd ed., table 11.1: 61 bits of the product cancel."""
    x = np.array([6381956970095103 * 2.0**797])
    assert computed("cos", x) == pytest.approx(-4.68716592425462761112e-19, rel=4e-16)
    assert computed("sin", x) in (1, -1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_underflow_gradually(dtype: str) -> None:
    limits = np.finfo(dtype)
    k = np.arange(limits.minexp - limits.nmant - 3, limits.minexp + 3)
    np.testing.assert_array_equal(
        computed("exp2", k.astype(dtype)), np.ldexp(np.ones_like(k, dtype), k)
    )


NOTABLE = [
    0.0,
    1.0,
    INF,
    0.5,
    2.0,
    3.0,
    1e30,
    5e-324,
    2.0**53,
    2.0**53 + 2,
    7.0,
    1.5,
    1 + 2.0**-52,
    1 - 2.0**-53,
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_notable_numbers_are_numpys(dtype: str) -> None:
    signed = np.array([*NOTABLE, *(-x for x in NOTABLE), NAN]).astype(dtype)
    x, y = (np.ravel(axis).copy() for axis in np.meshgrid(signed, signed))
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
    check("pow", computed("pow", x, y), wanted, 2, x, y)


@pytest.mark.parametrize(("dtype", "most"), [("float32", 2), ("float64", 4)])
def test_powers(dtype: str, most: float) -> None:
    generator = np.random.default_rng(0)
    largest = np.log(np.finfo(dtype).max)
    x = np.exp(generator.uniform(-1.05 * largest, largest, 50_000)).astype(dtype)
    near_1 = (1 + generator.normal(size=50_000) * 1e-3).astype(dtype)
    x = np.concatenate([x, near_1, generator.uniform(0.5, 2, 50_000).astype(dtype)])
    with np.errstate(all="ignore"):
        y = (generator.uniform(-1.1, 1.1, x.size) * largest / np.log(x)).astype(dtype)
        wanted = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
    check("pow", computed("pow", x, y), wanted, most, x, y)


def test_powers_that_are_integers_are_exact() -> None:
    pairs = [(x, n) for x in range(-999, 1000) for n in range(54) if abs(x) ** n < 2**53]
    x, n = np.array(pairs, "float64").T.copy()
    wanted = np.array([float(a**b) for a, b in pairs])
    np.testing.assert_array_equal(computed("pow", x, n), wanted)


def test_one_ulp_too_many_is_noticed() -> None:
    wanted = np.array([1.0, 1e-45, 3.0, INF])
    assert units_off(np.float32(wanted), wanted).max() < 0.5
    for wrong in ([1 + 2**-22, 0, 3, INF], [1, -0.0, 3, 3e38], [1, 0, NAN, INF]):
        assert units_off(np.array(wrong, "float32"), wanted).max() > 0.5
    zero = np.array([0.0])
    assert units_off(np.array([-0.0], "float32"), zero) == INF
    assert worst_of(np.array([-0.0], "float32"), zero) == INF
    assert worst_of(np.array([1 + 2**-22], "float32"), np.array([1.0])) == 2
    assert worst_of(np.array([3e38], "float32"), np.array([INF])) == INF


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angles_of_notable_points_are_numpys(dtype: str) -> None:
    """Zeros, infinities and NaN in every quadrant, and quotients that overflow or underflow."""
    limits = np.finfo(dtype)
    extreme = (limits.max, limits.smallest_subnormal, limits.tiny)
    signed = np.array([*NOTABLE, *(-x for x in NOTABLE), *extreme, NAN]).astype(dtype)
    y, x = (np.ravel(axis).copy() for axis in np.meshgrid(signed, signed))
    with np.errstate(all="ignore"):
        wanted = np.arctan2(y.astype(np.longdouble), x.astype(np.longdouble))
    check("atan2", computed("atan2", y, x), wanted, 2, y, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angles(dtype: str) -> None:
    generator = np.random.default_rng(0)
    largest = np.log(np.finfo(dtype).max)
    y, x = np.exp(generator.uniform(-largest, largest, (2, 60_000))).astype(dtype)
    x[::3] = y[::3] / generator.uniform(1, 10, 20_000).astype(dtype)
    x[::2], y[::4] = -x[::2], -y[::4]
    with np.errstate(all="ignore"):
        wanted = np.arctan2(y.astype(np.longdouble), x.astype(np.longdouble))
    check("atan2", computed("atan2", y, x), wanted, 2, y, x)
