"""Vector mathematics: functions of a scalar that LLVM runs in vector lanes, within a few ulp.

They are called in kernels, on float32 or float64, and have neither branches nor calls inside.
Largest errors, in units in the last place of the exact result:

=====================  ========================================  ========
function               float32, over all 2^32 numbers            float64
=====================  ========================================  ========
TABLE
=====================  ========================================  ========

"""

from .error_function import erf
from .exponential import exp, exp2, expm1
from .hyperbolic import tanh
from .logarithm import log, log1p, log2, log10
from .logistic import sigmoid, softplus
from .power import pow
from .root import rsqrt, sqrt
from .trigonometric import cos, sin

# The functions of one number.
UNARY = (
    "cos", "erf", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "rsqrt", "sigmoid",
    "sin", "softplus", "sqrt", "tanh",
)  # fmt: skip
