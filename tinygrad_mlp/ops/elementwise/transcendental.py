"""Exponentials, logarithms, trigonometric and hyperbolic functions: elementwise, floating results.

Identities and derivatives: M. Abramowitz and I. Stegun, *Handbook of Mathematical
Functions*, chapter 4.
"""

# mypy: disable-error-code="has-type,operator"
# (mypy reads the formulas of a module before it knows the operators of Tensor.)

from __future__ import annotations

import math
from typing import Any

from ...kernels.codegen import expression
from .declare import Elementwise, elementwise, where

LN_2 = math.log(2)
LN_10 = math.log(10)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)

exp = elementwise("exp", lambda x: expression.exp(x), dtype="float", x=lambda g, out: g * out)

expm1 = elementwise(
    "expm1",
    lambda x: expression.expm1(x),
    dtype="float",
    about="exp(x) - 1, exact also where x is tiny.",
    x=lambda g, out: g * (out + 1),
)

exp2 = elementwise(
    "exp2", lambda x: expression.exp2(x), dtype="float", x=lambda g, out: g * out * LN_2
)

log = elementwise("log", lambda x: expression.log(x), dtype="float", x=lambda g, x: g / x)

log1p = elementwise(
    "log1p",
    lambda x: expression.log1p(x),
    dtype="float",
    about="log(1 + x), exact also where x is tiny.",
    x=lambda g, x: g / (1 + x),
)

log2 = elementwise(
    "log2", lambda x: expression.log2(x), dtype="float", x=lambda g, x: g / (x * LN_2)
)

log10 = elementwise(
    "log10", lambda x: expression.log10(x), dtype="float", x=lambda g, x: g / (x * LN_10)
)

sqrt = elementwise(
    "sqrt", lambda x: expression.sqrt(x), dtype="float", x=lambda g, out: g / (2 * out)
)

rsqrt = elementwise(
    "rsqrt",
    lambda x: expression.rsqrt(x),
    dtype="float",
    about="One over the square root.",
    textbook=lambda x: 1 / sqrt(x),
    x=lambda g, out: g * out * out * out * -0.5,
)

erf = elementwise(
    "erf",
    lambda x: expression.erf(x),
    dtype="float",
    about="The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
    x=lambda g, x: g * TWO_OVER_SQRT_PI * exp(-x * x),
)

sigmoid = elementwise(
    "sigmoid",
    lambda x: expression.sigmoid(x),
    dtype="float",
    about="The logistic function.",
    textbook=lambda x: 1 / (1 + exp(-x)),
    x=lambda g, out: g * out * (1 - out),
)

sin = elementwise("sin", lambda x: expression.sin(x), dtype="float", x=lambda g, x: g * cos(x))
cos: Elementwise = elementwise(
    "cos", lambda x: expression.cos(x), dtype="float", x=lambda g, x: -g * sin(x)
)
tan = elementwise(
    "tan", lambda x: expression.tan(x), dtype="float", x=lambda g, out: g * (1 + out * out)
)

asin = elementwise(
    "asin", lambda x: expression.asin(x), dtype="float", x=lambda g, x: g * rsqrt(1 - x * x)
)
acos = elementwise(
    "acos", lambda x: expression.acos(x), dtype="float", x=lambda g, x: -g * rsqrt(1 - x * x)
)
atan = elementwise(
    "atan", lambda x: expression.atan(x), dtype="float", x=lambda g, x: g / (1 + x * x)
)

atan2 = elementwise(
    "atan2",
    lambda y, x: expression.atan2(y, x),
    dtype="float",
    about="The angle of the point (x, y), in radians, from -pi to pi. "
    "The derivatives at (0, 0) are 0.",
    y=lambda g, y, x: g * x / _squared_radius(y, x),
    x=lambda g, y, x: -g * y / _squared_radius(y, x),
)


def _squared_radius(y: Any, x: Any) -> Any:
    return where((x == 0) & (y == 0), 1, x * x + y * y)


sinh = elementwise("sinh", lambda x: expression.sinh(x), dtype="float", x=lambda g, x: g * cosh(x))
cosh: Elementwise = elementwise(
    "cosh", lambda x: expression.cosh(x), dtype="float", x=lambda g, x: g * sinh(x)
)

tanh = elementwise(
    "tanh",
    lambda x: expression.tanh(x),
    dtype="float",
    textbook=lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
    x=lambda g, out: g * (1 - out * out),
)

asinh = elementwise(
    "asinh", lambda x: expression.asinh(x), dtype="float", x=lambda g, x: g * rsqrt(x * x + 1)
)
acosh = elementwise(
    "acosh", lambda x: expression.acosh(x), dtype="float", x=lambda g, x: g * rsqrt(x * x - 1)
)
atanh = elementwise(
    "atanh", lambda x: expression.atanh(x), dtype="float", x=lambda g, x: g / (1 - x * x)
)

exp_, log_, sqrt_, rsqrt_, sigmoid_, tanh_, sin_, cos_ = (
    op.in_place_form() for op in (exp, log, sqrt, rsqrt, sigmoid, tanh, sin, cos)
)
