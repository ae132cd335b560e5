"""Rows of the elementwise ops: transcendental, arithmetic, order, logic, conversion, activation."""

from __future__ import annotations

import math

import numpy as np

from tests.ops.table import (
    Row,
    between_integers,
    binary,
    broadcast,
    constant,
    even_tenths,
    fixed,
    in_place,
    mask,
    odd_tenths,
    one_of,
    real,
)
from tinygrad_mlp.autograd.op import REGISTRY
from tinygrad_mlp.kernels.runtime.layout import DTYPES
from tinygrad_mlp.ops.elementwise import arithmetic, transcendental
from tinygrad_mlp.ops.elementwise.arithmetic import CONVERSIONS

INF, NAN, PI = math.inf, math.nan, math.pi
erf = np.vectorize(math.erf, otypes=[float])


def through_zero(at_zero: float = 0.0) -> dict:
    """Special values of an odd function that keeps the sign of zero."""
    return {"0": ((0.0,), at_zero), "-0": ((-0.0,), -at_zero)}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


def floating(name: str, reference, draw, **special) -> Row:
    """A function of one tensor with a floating result."""
    row = special.pop("row", {})
    special["nan"] = ((NAN,), NAN)
    return Row(
        name,
        getattr(transcendental, name),
        reference,
        [draw],
        accepts="bif",
        gives="float",
        special={k: v if isinstance(v, tuple) else ((float(k),), v) for k, v in special.items()},
        **row,
    )


NEAR = real(-1.5, 1.5)
ABOVE_ZERO = real(0.3, 2)

TRANSCENDENTAL = [
    floating("exp", np.exp, NEAR, **{"0": 1.0, "-0": 1.0, "inf": INF, "-inf": 0.0, "1000": INF}),
    floating(
        "expm1",
        np.expm1,
        NEAR,
        **{"0": 0.0, "-0": -0.0, "inf": INF, "-inf": -1.0, "1e-20": float(np.float32(1e-20))},
    ),
    floating("exp2", np.exp2, NEAR, **{"0": 1.0, "inf": INF, "-inf": 0.0, "3": 8.0}),
    floating("log", np.log, ABOVE_ZERO, **{"0": -INF, "-0": -INF, "1": 0.0, "inf": INF, "-1": NAN}),
    floating(
        "log1p",
        np.log1p,
        real(-0.5, 2),
        **{"0": 0.0, "-0": -0.0, "-1": -INF, "inf": INF, "-2": NAN},
    ),
    floating("log2", np.log2, ABOVE_ZERO, **{"0": -INF, "1": 0.0, "8": 3.0, "inf": INF, "-1": NAN}),
    floating("log10", np.log10, ABOVE_ZERO, **{"0": -INF, "1": 0.0, "inf": INF, "-1": NAN}),
    floating(
        "sqrt", np.sqrt, ABOVE_ZERO, **{"0": 0.0, "-0": -0.0, "4": 2.0, "inf": INF, "-1": NAN}
    ),
    floating(
        "rsqrt",
        lambda x: 1 / np.sqrt(x),
        ABOVE_ZERO,
        **{"0": INF, "-0": -INF, "4": 0.5, "inf": 0.0, "-1": NAN},
    ),
    floating("erf", erf, NEAR, **{"0": 0.0, "-0": -0.0, "inf": 1.0, "-inf": -1.0}),
    floating("sigmoid", sigmoid, NEAR, **{"0": 0.5, "inf": 1.0, "-inf": 0.0, "-1000": 0.0}),
    floating("sin", np.sin, NEAR, **{"0": 0.0, "-0": -0.0, "inf": NAN}),
    floating("cos", np.cos, real(0.2, 2), **{"0": 1.0, "-inf": NAN}),
    floating("tan", np.tan, real(-1, 1), **{"0": 0.0, "-0": -0.0, "inf": NAN}),
    floating("asin", np.arcsin, real(-0.8, 0.8), **{"0": 0.0, "-0": -0.0, "2": NAN}),
    floating("acos", np.arccos, real(-0.8, 0.8), **{"1": 0.0, "-2": NAN}),
    floating("atan", np.arctan, NEAR, **{"0": 0.0, "-0": -0.0}),
    floating("sinh", np.sinh, NEAR, **{"0": 0.0, "-0": -0.0, "inf": INF, "-inf": -INF}),
    floating("cosh", np.cosh, real(0.2, 1.5), **{"0": 1.0, "inf": INF, "-inf": INF}),
    floating("tanh", np.tanh, NEAR, **{"0": 0.0, "-0": -0.0, "inf": 1.0, "-inf": -1.0}),
    floating("asinh", np.arcsinh, NEAR, **{"0": 0.0, "-0": -0.0, "inf": INF, "-inf": -INF}),
    floating("acosh", np.arccosh, real(1.3, 3), **{"1": 0.0, "inf": INF, "0": NAN}),
    floating(
        "atanh",
        np.arctanh,
        real(-0.8, 0.8),
        **{"0": 0.0, "-0": -0.0, "1": INF, "-1": -INF, "2": NAN},
    ),
    Row(
        "atan2",
        transcendental.atan2,
        np.arctan2,
        [real(-2, 2, 0, margin=0.3), real(-2, 2, 0, margin=0.3)],
        accepts="bif",
        gives="float",
        special={
            "0, 1": ((0.0, 1.0), 0.0),
            "-0, 1": ((-0.0, 1.0), -0.0),
            "1, 0": ((1.0, 0.0), float(np.float32(PI / 2))),
            "inf, 1": ((INF, 1.0), float(np.float32(PI / 2))),
            "nan, 1": ((NAN, 1.0), NAN),
        },
        kinks={"0, 0": ((0.0, 0.0), (0.0, 0.0))},
    ),
]


def pair(name: str, reference, x, y, **fields) -> Row:
    """A function of two tensors."""
    return Row(name, getattr(arithmetic, name), reference, [x, y], **fields)


def single(name: str, reference, x, **fields) -> Row:
    """A function of one tensor."""
    return Row(name, getattr(arithmetic, name), reference, [x], **fields)


ANY = real(-2, 2)
FROM_ZERO = real(-2, 2, 0, margin=0.4)

ARITHMETIC = [
    Row(
        "where",
        arithmetic.where,
        np.where,
        [mask(), ANY, ANY],
        accepts="bif",
        cases=broadcast(3),
        special={"true": ((True, 1.0, NAN), 1.0), "false": ((False, NAN, -0.0), -0.0)},
    ),
    pair(
        "add",
        np.add,
        ANY,
        ANY,
        accepts="bif",
        special={
            "inf - inf": ((INF, -INF), NAN),
            "-0 + -0": ((-0.0, -0.0), -0.0),
            "-0 + 0": ((-0.0, 0.0), 0.0),
            "nan": ((NAN, 1.0), NAN),
        },
    ),
    pair(
        "sub",
        np.subtract,
        ANY,
        ANY,
        accepts="if",
        special={
            "inf - inf": ((INF, INF), NAN),
            "0 - 0": ((0.0, 0.0), 0.0),
            "-0 - 0": ((-0.0, 0.0), -0.0),
        },
    ),
    pair(
        "mul",
        np.multiply,
        ANY,
        ANY,
        accepts="bif",
        special={
            "0 * inf": ((0.0, INF), NAN),
            "-1 * 0": ((-1.0, 0.0), -0.0),
            "nan * 0": ((NAN, 0.0), NAN),
        },
    ),
    pair(
        "div",
        np.divide,
        ANY,
        FROM_ZERO,
        accepts="bif",
        gives="float",
        special={
            "1 / 0": ((1.0, 0.0), INF),
            "1 / -0": ((1.0, -0.0), -INF),
            "0 / 0": ((0.0, 0.0), NAN),
            "1 / inf": ((1.0, INF), 0.0),
        },
    ),
    single(
        "neg",
        np.negative,
        ANY,
        accepts="if",
        special={"0": ((0.0,), -0.0), "-inf": ((-INF,), INF), "nan": ((NAN,), NAN)},
    ),
    pair(
        "pow",
        np.power,
        real(0.4, 2),
        ANY,
        accepts="if",
        whole=(0, 4),
        special={
            "0 ** 0": ((0.0, 0.0), 1.0),
            "nan ** 0": ((NAN, 0.0), 1.0),
            "1 ** nan": ((1.0, NAN), 1.0),
            "0 ** -1": ((0.0, -1.0), INF),
            "-2 ** 3": ((-2.0, 3.0), -8.0),
            "-2 ** 0.5": ((-2.0, 0.5), NAN),
            "inf ** -1": ((INF, -1.0), 0.0),
        },
        kinks={
            "0 ** 0": ((0.0, 0.0), (0.0, 0.0)),
            "0 ** 1": ((0.0, 1.0), (1.0, 0.0)),
            "0 ** 2": ((0.0, 2.0), (0.0, 0.0)),
            "-2 ** 0": ((-2.0, 0.0), (0.0, NAN)),
        },
    ),
    single(
        "square",
        np.square,
        ANY,
        accepts="if",
        special={"-0": ((-0.0,), 0.0), "-inf": ((-INF,), INF)},
    ),
    single(
        "reciprocal",
        lambda x: 1 / x,
        FROM_ZERO,
        accepts="bif",
        gives="float",
        special={"0": ((0.0,), INF), "-0": ((-0.0,), -INF), "inf": ((INF,), 0.0)},
    ),
    pair(
        "floor_divide",
        np.floor_divide,
        odd_tenths(-2, 2),
        even_tenths(0.4, 2),
        accepts="if",
        flat=True,
        whole=(1, 5),
        special={
            "7 // -2": ((7.0, -2.0), -4.0),
            "-7 // 2": ((-7.0, 2.0), -4.0),
            "1 // 0": ((1.0, 0.0), INF),
            "-1 // 0": ((-1.0, 0.0), -INF),
            "0 // 0": ((0.0, 0.0), NAN),
            "nan // 1": ((NAN, 1.0), NAN),
        },
    ),
    pair(
        "remainder",
        np.remainder,
        odd_tenths(-2, 2),
        even_tenths(0.4, 2),
        accepts="if",
        whole=(1, 5),
        special={
            "7 % -2": ((7.0, -2.0), -1.0),
            "-7 % 2": ((-7.0, 2.0), 1.0),
            "1 % 0": ((1.0, 0.0), NAN),
            "inf % 2": ((INF, 2.0), NAN),
            "4 % 2": ((4.0, 2.0), 0.0),
            "3 % inf": ((3.0, INF), 3.0),
        },
    ),
    pair(
        "maximum",
        np.maximum,
        odd_tenths(-2, 2),
        even_tenths(-2, 2),
        accepts="bif",
        special={
            "nan, 1": ((NAN, 1.0), NAN),
            "1, nan": ((1.0, NAN), NAN),
            "inf, -inf": ((INF, -INF), INF),
        },
        kinks={"equal": ((1.0, 1.0), (0.5, 0.5)), "nan": ((NAN, 1.0), (1.0, 1.0))},
    ),
    pair(
        "minimum",
        np.minimum,
        odd_tenths(-2, 2),
        even_tenths(-2, 2),
        accepts="bif",
        special={
            "nan, 1": ((NAN, 1.0), NAN),
            "1, nan": ((1.0, NAN), NAN),
            "inf, -inf": ((INF, -INF), -INF),
        },
        kinks={"equal": ((1.0, 1.0), (0.5, 0.5)), "nan": ((NAN, 1.0), (1.0, 1.0))},
    ),
    pair(
        "clamp_min",
        np.maximum,
        odd_tenths(-2, 2),
        even_tenths(-2, 2),
        accepts="bif",
        special={
            "nan": ((NAN, 1.0), NAN),
            "at least nan": ((1.0, NAN), NAN),
            "-inf": ((-INF, 1.0), 1.0),
        },
        kinks={"at the bound": ((1.0, 1.0), (1.0, 0.0))},
    ),
    pair(
        "clamp_max",
        np.minimum,
        odd_tenths(-2, 2),
        even_tenths(-2, 2),
        accepts="bif",
        special={
            "nan": ((NAN, 1.0), NAN),
            "at most nan": ((1.0, NAN), NAN),
            "inf": ((INF, 1.0), 1.0),
        },
        kinks={"at the bound": ((1.0, 1.0), (1.0, 0.0))},
    ),
    single(
        "abs",
        np.abs,
        FROM_ZERO,
        accepts="if",
        special={"-0": ((-0.0,), 0.0), "-inf": ((-INF,), INF), "nan": ((NAN,), NAN)},
        kinks={"0": ((0.0,), (0.0,)), "-0": ((-0.0,), (0.0,))},
    ),
    single(
        "sign",
        lambda x: np.sign(x * 1),
        FROM_ZERO,
        accepts="bif",
        flat=True,
        special={"0": ((0.0,), 0.0), "-inf": ((-INF,), -1.0), "nan": ((NAN,), NAN)},
    ),
    single(
        "floor",
        np.floor,
        between_integers(-3, 3),
        accepts="bif",
        flat=True,
        special={"-0.5": ((-0.5,), -1.0), "-0": ((-0.0,), -0.0), "inf": ((INF,), INF)},
    ),
    single(
        "ceil",
        np.ceil,
        between_integers(-3, 3),
        accepts="bif",
        flat=True,
        special={"-0.5": ((-0.5,), -0.0), "0.5": ((0.5,), 1.0), "nan": ((NAN,), NAN)},
    ),
    single(
        "trunc",
        np.trunc,
        between_integers(-3, 3),
        accepts="bif",
        flat=True,
        special={"-1.5": ((-1.5,), -1.0), "-0.5": ((-0.5,), -0.0)},
    ),
    single(
        "round",
        np.rint,
        between_integers(-3, 3),
        accepts="bif",
        flat=True,
        special={"0.5": ((0.5,), 0.0), "1.5": ((1.5,), 2.0), "-0.5": ((-0.5,), -0.0)},
    ),
]


# All elementwise ops lie in memory by the same code: those without a gradient need fewer shapes.
FEW = {
    1: one_of(fixed([(3, 4)]), fixed([()]), fixed([(0, 2)])),
    2: one_of(fixed([(3, 4), (4,)]), fixed([(3, 1), (1, 4)]), fixed([(), ()]), fixed([(0,), ()])),
    3: one_of(fixed([(3, 4)] * 3), fixed([(3, 1), (4,), (3, 4)]), fixed([()] * 3)),
}


def predicate(name: str, reference, count: int, accepts: str = "bif", **special) -> Row:
    """A comparison, or a question about one value: small integers, so that equal values occur."""
    draws = [constant(even_tenths(-0.4, 0.4))] * count
    return Row(
        name,
        getattr(arithmetic, name),
        reference,
        draws,
        accepts=accepts,
        gives="bool",
        cases=FEW[count],
        special=special,
    )


def bitwise(name: str, reference, count: int) -> Row:
    """Bit by bit, of integers and bools."""
    return Row(
        name,
        getattr(arithmetic, name),
        reference,
        [constant(real(-9, 9))] * count,
        cases=FEW[count],
        accepts="bi",
        whole=(-9, 9),
    )


UNORDERED = {"nan, nan": ((NAN, NAN), False), "0, -0": ((0.0, -0.0), True)}
STRICT = {"nan, 1": ((NAN, 1.0), False), "0, -0": ((0.0, -0.0), False)}
TRUTH = {"nan, 1": ((NAN, 1.0), True), "-0, 1": ((-0.0, 1.0), False)}

LOGIC = [
    predicate("eq", np.equal, 2, **UNORDERED),
    predicate(
        "ne", np.not_equal, 2, **{"nan, nan": ((NAN, NAN), True), "0, -0": ((0.0, -0.0), False)}
    ),
    predicate("lt", np.less, 2, **STRICT),
    predicate("le", np.less_equal, 2, **UNORDERED),
    predicate("gt", np.greater, 2, **STRICT),
    predicate("ge", np.greater_equal, 2, **UNORDERED),
    predicate("isnan", np.isnan, 1, nan=((NAN,), True), inf=((INF,), False)),
    predicate("isinf", np.isinf, 1, nan=((NAN,), False), inf=((-INF,), True)),
    predicate("isfinite", np.isfinite, 1, nan=((NAN,), False), inf=((-INF,), False)),
    predicate("logical_and", np.logical_and, 2, **TRUTH),
    predicate("logical_or", np.logical_or, 2, **{"nan, 0": ((NAN, 0.0), True)}),
    predicate("logical_xor", np.logical_xor, 2, **{"nan, 1": ((NAN, 1.0), False)}),
    predicate("logical_not", np.logical_not, 1, **{"nan": ((NAN,), False), "-0": ((-0.0,), True)}),
    bitwise("bitwise_and", np.bitwise_and, 2),
    bitwise("bitwise_or", np.bitwise_or, 2),
    bitwise("bitwise_xor", np.bitwise_xor, 2),
    bitwise("bitwise_not", np.invert, 1),
]

CONVERSION = [
    single("clone", lambda x: x, ANY, accepts="bif", special={"-0": ((-0.0,), -0.0)}),
    Row(
        "copy_",
        arithmetic.copy_,
        lambda x, source: np.broadcast_to(source, x.shape),
        [constant(ANY), ANY],
        accepts="bif",
        gives="first",
        mutates=(0,),
        cases=one_of(
            fixed(((2, 3), (2, 3))), fixed(((2, 3), (3,))), fixed(((), ())), fixed(((0, 2), (1, 2)))
        ),
    ),
    *(
        Row(
            f"to_{dtype}",
            CONVERSIONS[dtype],
            lambda x, dtype=dtype: x.astype(dtype),
            [binary(-2, 2) if dtype.kind == "f" else constant(real(0, 5))],
            step=1 / 64,
            accepts="bif",
            gives=str(dtype),
            special={"nan": ((NAN,), NAN if dtype.kind == "f" else True)}
            if dtype.kind in "fb"
            else {},
        )
        for dtype in DTYPES
    ),
]


def function(name: str, reference, *draws, cases=None, **fields) -> Row:
    """An activation, or a loss of one element."""
    return Row(name, REGISTRY[name], reference, draws, cases=cases, **fields)


def with_numbers(name: str, reference, *draws, numbers: dict[str, float], **fields) -> Row:
    """An op whose last tensor inputs are Python numbers in practice."""
    op = REGISTRY[name]
    return Row(
        name,
        lambda *x, **params: op(*x, *params.values()),
        reference,
        draws,
        cases=broadcast(len(draws), **numbers),
        accepts="bif",
        gives="float",
        **fields,
    )


def np_huber(x, y, delta):
    d = abs(x - y)
    return np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


def np_log(x):
    """Kept from -inf, as PyTorch keeps the logarithms of this loss."""
    return np.maximum(np.log(x), -100)


def np_gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / PI) * (x + 0.044715 * x**3)))


ACTIVATION = [
    function(
        "relu",
        lambda x: np.maximum(x, 0),
        FROM_ZERO,
        accepts="bif",
        special={"-0": ((-0.0,), 0.0), "nan": ((NAN,), NAN), "-inf": ((-INF,), 0.0)},
        kinks={"0": ((0.0,), (0.0,)), "nan": ((NAN,), (1.0,))},
    ),
    with_numbers(
        "leaky_relu",
        lambda x, slope: np.where(x > 0, x, slope * x),
        FROM_ZERO,
        numbers={"slope": 0.2},
        special={"-inf": ((-INF,), -INF), "nan": ((NAN,), NAN)},
        kinks={"0": ((0.0,), (0.2,))},
    ),
    with_numbers(
        "elu",
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x)),
        FROM_ZERO,
        numbers={"alpha": 0.7},
        special={"-inf": ((-INF,), float(np.float32(-0.7))), "inf": ((INF,), INF)},
        kinks={"0": ((0.0,), (0.7,)), "nan": ((NAN,), (1.0,))},
    ),
    function(
        "gelu",
        lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
        ANY,
        accepts="bif",
        gives="float",
        special={"0": ((0.0,), 0.0), "inf": ((INF,), INF)},
    ),
    function(
        "gelu_tanh",
        np_gelu_tanh,
        ANY,
        accepts="bif",
        gives="float",
        special={"0": ((0.0,), 0.0), "inf": ((INF,), INF)},
    ),
    function(
        "silu",
        lambda x: x * sigmoid(x),
        ANY,
        accepts="bif",
        gives="float",
        special={"0": ((0.0,), 0.0), "inf": ((INF,), INF), "-1000": ((-1000.0,), -0.0)},
    ),
    with_numbers(
        "softplus",
        lambda x, beta, threshold: np.where(
            x * beta > threshold, x, np.log1p(np.exp(beta * x)) / beta
        ),
        real(-2, 2, 1.2),
        numbers={"beta": 1.5, "threshold": 1.8},
        special={"1000": ((1000.0,), 1000.0), "-inf": ((-INF,), 0.0)},
    ),
    with_numbers(
        "huber",
        np_huber,
        odd_tenths(-2, 2),
        even_tenths(-2, 2),
        numbers={"delta": 0.65},
        special={"equal": ((1.0, 1.0), 0.0), "inf": ((INF, 1.0), INF)},
    ),
    function(
        "binary_cross_entropy",
        lambda x, y: -y * np_log(x) - (1 - y) * np_log(1 - x),
        real(0.2, 0.8),
        real(0.1, 0.9),
        accepts="bif",
        gives="float",
        whole=(0, 2),
        special={
            "0, 0": ((0.0, 0.0), 0.0),
            "1, 1": ((1.0, 1.0), -0.0),
            "0, 1": ((0.0, 1.0), 100.0),
            "1, 0": ((1.0, 0.0), 100.0),
        },
    ),
    function(
        "binary_cross_entropy_with_logits",
        lambda x, y, p: p * y * softplus(-x) + (1 - y) * softplus(x),
        ANY,
        real(0.1, 0.9),
        real(0.5, 2),
        cases=FEW[3],
        accepts="bif",
        gives="float",
        special={
            "1000, 1": ((1000.0, 1.0, 1.0), 0.0),
            "-1000, 0": ((-1000.0, 0.0, 1.0), 0.0),
            "-1000, 1": ((-1000.0, 1.0, 1.0), 1000.0),
            "nan": ((NAN, 1.0, 1.0), NAN),
        },
    ),
]

_BASES = {row.op: row for row in [*TRANSCENDENTAL, *ARITHMETIC, *LOGIC, *CONVERSION, *ACTIVATION]}
IN_PLACE = [
    in_place(_BASES[name[:-1]], op)
    for name, op in REGISTRY.items()
    if name.endswith("_") and name[:-1] in _BASES
]

ROWS = [*_BASES.values(), *IN_PLACE]
