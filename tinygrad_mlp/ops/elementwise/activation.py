"""Activation functions of neural networks: elementwise."""

from __future__ import annotations

import math
from typing import Any

from ...kernels.codegen import expression
from .arithmetic import clamp_min, where
from .declare import elementwise
from .transcendental import erf, exp, log, sigmoid, tanh

SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)

relu = elementwise(
    "relu",
    lambda x: expression.where(x <= 0, 0, x),
    about="max(x, 0); NaN for NaN. The derivative at 0 is 0, at NaN it is 1.",
    x=lambda g, out: where(out <= 0, 0, g),
)

leaky_relu = elementwise(
    "leaky_relu",
    lambda x, negative_slope: expression.where(x > 0, x, negative_slope * x),
    public=False,
    about="The derivative at 0 is ``negative_slope``.",
    x=lambda g, x, negative_slope: where(x > 0, g, negative_slope * g),
)

elu = elementwise(
    "elu",
    lambda x, alpha: expression.where(x > 0, x, alpha * expression.expm1(x)),
    public=False,
    dtype="float",
    about="Exponential linear unit (D.-A. Clevert et al., arXiv 1511.07289).",
    x=lambda g, x, alpha: where(x <= 0, g * alpha * exp(where(x <= 0, x, 0)), g),
)

gelu = elementwise(
    "gelu",
    lambda x: 0.5 * x * (1 + expression.erf(x * SQRT_HALF)),
    public=False,
    dtype="float",
    about="Gaussian error linear unit, x times the normal distribution function "
    "(D. Hendrycks and K. Gimpel, arXiv 1606.08415).",
    x=lambda g, x: g * (0.5 * (1 + erf(x * SQRT_HALF)) + x * INV_SQRT_2PI * exp(-0.5 * x * x)),
)

gelu_tanh = elementwise(
    "gelu_tanh",
    lambda x: 0.5 * x * (1 + expression.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))),
    public=False,
    dtype="float",
    about="GELU by its tanh approximation (the same paper).",
    x=lambda g, x: g * _gelu_tanh_derivative(x, tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))),
)


def _gelu_tanh_derivative(x: Any, t: Any) -> Any:
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x)


silu = elementwise(
    "silu",
    lambda x: x / (1 + expression.exp(-x)),
    public=False,
    dtype="float",
    about="x * sigmoid(x), also called swish (S. Elfwing et al., arXiv 1702.03118).",
    x=lambda g, x: g * sigmoid(x) * (1 + x * (1 - sigmoid(x))),
)

softplus = elementwise(
    "softplus",
    lambda x, beta, threshold: expression.where(
        x * beta > threshold, x, expression.softplus(x * beta) / beta
    ),
    public=False,
    dtype="float",
    about="log(1 + exp(beta x)) / beta; the identity where beta x > threshold.",
    textbook=lambda x, beta, threshold: where(
        x * beta > threshold, x, log(1 + exp(x * beta)) / beta
    ),
    x=lambda g, x, beta, threshold: where(x * beta > threshold, g, g * sigmoid(x * beta)),
)

huber = elementwise(
    "huber",
    lambda x, y, delta: expression.where(
        expression.absolute(x - y) <= delta,
        0.5 * (x - y) * (x - y),
        delta * (expression.absolute(x - y) - 0.5 * delta),
    ),
    public=False,
    dtype="float",
    about="Huber's loss of one element: quadratic near 0, linear beyond ``delta`` "
    "(P. J. Huber, Ann. Math. Statist. 35, 1964).",
    x=lambda g, x, y, delta: g * _clip(x - y, delta),
    y=lambda g, x, y, delta: -g * _clip(x - y, delta),
)


def _clip(d: Any, delta: Any) -> Any:
    return where(d > delta, delta, where(d < -delta, -delta, d))


binary_cross_entropy = elementwise(
    "binary_cross_entropy",
    lambda x, y: (y - 1) * _log_at_least(1 - x, -100) - y * _log_at_least(x, -100),
    public=False,
    dtype="float",
    about="-y log(x) - (1 - y) log(1 - x) of one element, each logarithm at least -100.",
    x=lambda g, x, y: g * (x - y) / where((1 - x) * x < 1e-12, 1e-12, (1 - x) * x),
    y=lambda g, x, y: g * (_tensor_log(1 - x) - _tensor_log(x)),
)


def _log_at_least(x: Any, least: Any) -> Any:
    return expression.where(expression.log(x) < least, least, expression.log(x))


def _tensor_log(x: Any) -> Any:
    return clamp_min(log(x), -100)


binary_cross_entropy_with_logits = elementwise(
    "binary_cross_entropy_with_logits",
    lambda x, y, pos_weight: (1 - y) * x + (1 + (pos_weight - 1) * y) * expression.softplus(-x),
    public=False,
    dtype="float",
    about="Cross-entropy of one logit: -p y log(sigmoid(x)) - (1 - y) log(1 - sigmoid(x)), "
    "p is ``pos_weight``. By softplus, so that no exponential overflows.",
    x=lambda g, x, y, pos_weight: g * (1 - y - (1 + (pos_weight - 1) * y) * (1 - sigmoid(x))),
    y=lambda g, x, pos_weight: g * (pos_weight * _softplus(-x) - _softplus(x)),
    pos_weight=lambda g, x, y: g * y * _softplus(-x),
)


def _softplus(x: Any) -> Any:
    return softplus(x, 1, 50)


relu_ = relu.in_place_form()
