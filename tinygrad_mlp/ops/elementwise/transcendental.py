"""Exponentials, logarithms, trigonometric and hyperbolic functions: elementwise, floating results.

Identities and derivatives: M. Abramowitz and I. Stegun, *Handbook of Mathematical
Functions*, chapter 4.
"""

# mypy: disable-error-code="has-type,operator"
# (mypy checks the formulas of a module before it has inferred the operators of Tensor.)

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...kernels.codegen import expression
from .declare import Elementwise, elementwise, in_place, where

LN_2 = math.log(2)
LN_10 = math.log(10)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


def _function(
    name: str, rule: Callable[..., Any], about: str, textbook: Callable[..., Any] | None = None
) -> Elementwise:
    """Declare a function of ``x`` that the kernels have under the same name."""
    compute = getattr(expression, name)
    return elementwise(
        name, lambda x: compute(x), dtype="float", textbook=textbook, about=about, x=rule
    )


exp = _function("exp", lambda g, out: g * out, "Return e to the power of ``x``.")
expm1 = _function(
    "expm1", lambda g, out: g * (out + 1), "Return exp(x) - 1, exact also for tiny ``x``."
)
exp2 = _function("exp2", lambda g, out: g * out * LN_2, "Return 2 to the power of ``x``.")
log = _function("log", lambda g, x: g / x, "Return the natural logarithm: -inf at 0, NaN below.")
log1p = _function(
    "log1p", lambda g, x: g / (1 + x), "Return log(1 + x), exact also for tiny ``x``."
)
log2 = _function("log2", lambda g, x: g / (x * LN_2), "Return the logarithm to base 2.")
log10 = _function("log10", lambda g, x: g / (x * LN_10), "Return the logarithm to base 10.")
sqrt = _function("sqrt", lambda g, out: g / (2 * out), "Return the square root: NaN below 0.")
rsqrt = _function(
    "rsqrt",
    lambda g, out: g * out * out * out * -0.5,
    "Return 1 over the square root.",
    textbook=lambda x: 1 / sqrt(x),
)
erf = _function(
    "erf",
    lambda g, x: g * TWO_OVER_SQRT_PI * exp(-x * x),
    "Return the error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
)
sigmoid = _function(
    "sigmoid",
    lambda g, out: g * out * (1 - out),
    "Return the logistic function.",
    textbook=lambda x: 1 / (1 + exp(-x)),
)

sin = _function("sin", lambda g, x: g * cos(x), "Return the sine of an angle in radians.")
cos: Elementwise = _function(
    "cos", lambda g, x: -g * sin(x), "Return the cosine of an angle in radians."
)
tan = _function(
    "tan", lambda g, out: g * (1 + out * out), "Return the tangent of an angle in radians."
)
asin = _function(
    "asin",
    lambda g, x: g * rsqrt(1 - x * x),
    "Return the angle whose sine is ``x``, from -pi/2 to pi/2.",
)
acos = _function(
    "acos",
    lambda g, x: -g * rsqrt(1 - x * x),
    "Return the angle whose cosine is ``x``, from 0 to pi.",
)
atan = _function(
    "atan",
    lambda g, x: g / (1 + x * x),
    "Return the angle whose tangent is ``x``, from -pi/2 to pi/2.",
)
atan2 = elementwise(
    "atan2",
    lambda y, x: expression.atan2(y, x),
    dtype="float",
    about="Return the angle of the point (x, y), in radians, from -pi to pi. "
    "The derivatives at (0, 0) are 0.",
    y=lambda g, y, x: g * x / _squared_radius(y, x),
    x=lambda g, y, x: -g * y / _squared_radius(y, x),
)


def _squared_radius(y: Any, x: Any) -> Any:
    return where((x == 0) & (y == 0), 1, x * x + y * y)


sinh = _function("sinh", lambda g, x: g * cosh(x), "Return the hyperbolic sine.")
cosh: Elementwise = _function("cosh", lambda g, x: g * sinh(x), "Return the hyperbolic cosine.")
tanh = _function(
    "tanh",
    lambda g, out: g * (1 - out * out),
    "Return the hyperbolic tangent.",
    textbook=lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
)
asinh = _function("asinh", lambda g, x: g * rsqrt(x * x + 1), "Return the inverse of sinh.")
acosh = _function(
    "acosh",
    lambda g, x: g * rsqrt(x * x - 1),
    "Return the inverse of cosh, 0 or more: NaN below 1.",
)
atanh = _function(
    "atanh", lambda g, x: g / (1 - x * x), "Return the inverse of tanh: NaN outside of -1 to 1."
)

exp_, log_, sqrt_, rsqrt_ = in_place(exp, log, sqrt, rsqrt)
sigmoid_, tanh_, sin_, cos_ = in_place(sigmoid, tanh, sin, cos)
