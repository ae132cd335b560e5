"""Mathematical functions."""

from .exponential import exp, expm1
from .logarithm import log, log1p, log2, log10
from .logistic import sigmoid, softplus, tanh
from .root import rsqrt, sqrt
from .error_function import erf
from .trigonometric import cos, sin
