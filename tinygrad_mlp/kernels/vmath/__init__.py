"""Vector mathematics: scalar functions that LLVM vectorises, accurate to a few ulp.

Kernels call them on float32 or float64 numbers. They have neither branches nor calls inside, so a
loop over them becomes a loop of vector instructions. Read ``bits.py`` first, then
``exponential.py``, ``logarithm.py``, ``hyperbolic.py``, ``logistic.py``, ``error_function.py``,
``root.py``, ``trigonometric.py`` with ``pairs.py``, ``inverse_trigonometric.py``,
``inverse_hyperbolic.py``, ``power.py``, and ``minmax.py``.

The largest errors found, in units in the last place (ulp) of the exact result, in float32 over all
2^32 numbers (erf: one in 61 of them; sinh and those below it: one in 1021; pow: a sample), in
float64 on dense samples:

==========  =======  =======    ==========  =======  =======    ==========  =======  =======
function    float32  float64    function    float32  float64    function    float32  float64
==========  =======  =======    ==========  =======  =======    ==========  =======  =======
exp            1.04     1.03    log            0.96     1.26    tanh           1.88     2.11
exp2           1.04     1.10    log1p          1.50     1.82    sigmoid        1.98     1.87
expm1          1.54     2.14    log2           1.07     1.14    softplus       1.82     1.83
sin            1.58     1.28    log10          1.12     1.00    erf            0.97     0.98
cos            1.58     1.30    pow            0.51     0.69    rsqrt          1.50     1.50
sinh           0.50     2.45    asinh          0.50     2.03    asin           0.50     1.97
cosh           0.50     1.35    acosh          0.50     1.99    acos           0.50     2.17
tan            0.50     2.64    atanh          0.50     2.01    atan           0.50     1.72
==========  =======  =======    ==========  =======  =======    ==========  =======  =======

Results have the same bits on every machine. Without a fused multiply-add instruction they are slow.
"""

from .error_function import erf
from .exponential import exp, exp2, expm1
from .hyperbolic import cosh, sinh, tanh
from .inverse_hyperbolic import acosh, asinh, atanh
from .inverse_trigonometric import acos, asin, atan, atan2
from .logarithm import log, log1p, log2, log10
from .logistic import sigmoid, softplus
from .power import pow
from .root import rsqrt, sqrt
from .trigonometric import cos, sin, tan

# The functions of one number.
UNARY = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "exp", "exp2", "expm1",
    "log", "log10", "log1p", "log2", "rsqrt", "sigmoid", "sin", "sinh", "softplus", "sqrt", "tan",
    "tanh",
)  # fmt: skip
