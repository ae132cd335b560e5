"""Activation functions. `nn.functional` has their public forms."""

# mypy: disable-error-code="has-type,operator"
# (mypy checks the formulas of a module before it has inferred the operators of Tensor.)

from __future__ import annotations

import functools
import math
from typing import Any

from ...kernels.codegen import expression
from .arithmetic import where
from .declare import elementwise, in_place
from .transcendental import erf, exp, log, sigmoid, tanh

_activation = functools.partial(elementwise, dtype="float", public=False)

SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)

relu = elementwise(
    "relu",
    lambda x: expression.where(x <= 0, 0, x),
    about="Return max(x, 0); NaN for NaN. The derivative at 0 is 0, at NaN it is 1.",
    x=lambda g, out: where(out <= 0, 0, g),
)

leaky_relu = elementwise(
    "leaky_relu",
    lambda x, negative_slope: expression.where(x > 0, x, negative_slope * x),
    public=False,
    about="Return x, below 0 ``negative_slope * x``. The derivative at 0 is ``negative_slope``.",
    x=lambda g, x, negative_slope: where(x > 0, g, negative_slope * g),
)

elu = _activation(
    "elu",
    lambda x, alpha: expression.where(x > 0, x, alpha * expression.expm1(x)),
    about="Return the exponential linear unit (D.-A. Clevert et al., arXiv 1511.07289).",
    x=lambda g, x, alpha: where(x <= 0, g * alpha * exp(where(x <= 0, x, 0)), g),
)

gelu = _activation(
    "gelu",
    lambda x: 0.5 * x * (1 + expression.erf(x * SQRT_HALF)),
    about="Return the Gaussian error linear unit, x times the normal distribution function "
    "(D. Hendrycks and K. Gimpel, arXiv 1606.08415).",
    x=lambda g, x: g * (0.5 * (1 + erf(x * SQRT_HALF)) + x * INV_SQRT_2PI * exp(-0.5 * x * x)),
)

gelu_tanh = _activation(
    "gelu_tanh",
    lambda x: 0.5 * x * (1 + expression.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))),
    about="Return the tanh approximation of `gelu` (the same paper).",
    x=lambda g, x: g * _gelu_tanh_derivative(x, tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))),
)


def _gelu_tanh_derivative(x: Any, t: Any) -> Any:
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x)


silu = _activation(
    "silu",
    lambda x: x / (1 + expression.exp(-x)),
    about="Return x * sigmoid(x), also called swish (S. Elfwing et al., arXiv 1702.03118).",
    x=lambda g, x: g * sigmoid(x) * (1 + x * (1 - sigmoid(x))),
)

softplus = _activation(
    "softplus",
    lambda x, beta, threshold: expression.where(
        x * beta > threshold, x, expression.softplus(x * beta) / beta
    ),
    about="Return log(1 + exp(beta x)) / beta; x where beta x > threshold.",
    textbook=lambda x, beta, threshold: where(
        x * beta > threshold, x, log(1 + exp(x * beta)) / beta
    ),
    x=lambda g, x, beta, threshold: where(x * beta > threshold, g, g * sigmoid(x * beta)),
)

(relu_,) = in_place(relu)
