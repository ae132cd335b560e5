"""Activations as modules: elementwise, but `Softmax` and `LogSoftmax` along an axis."""

from __future__ import annotations

from . import functional as F
from .functional_module import FunctionalModule


class ReLU(FunctionalModule):
    """max(x, 0).

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.ReLU()(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    function = staticmethod(F.relu)

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class LeakyReLU(FunctionalModule):
    """x where x > 0, else ``negative_slope`` x (A. L. Maas et al., ICML 2013)."""

    function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class ELU(FunctionalModule):
    """x where x > 0, else ``alpha`` (exp(x) - 1) (D.-A. Clevert et al., ICLR 2016)."""

    function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class GELU(FunctionalModule):
    """x P(X <= x) for a normal X; ``approximate="tanh"`` takes the tanh formula of the same paper.

    Source: D. Hendrycks and K. Gimpel, "Gaussian error linear units", arXiv 1606.08415.
    """

    function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none"):
        super().__init__(approximate=approximate)


class SiLU(FunctionalModule):
    """x sigmoid(x), also called swish (S. Elfwing et al., arXiv 1702.03118)."""

    function = staticmethod(F.silu)

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class Sigmoid(FunctionalModule):
    """1 / (1 + exp(-x))."""

    function = staticmethod(F.sigmoid)


class Tanh(FunctionalModule):
    """The hyperbolic tangent."""

    function = staticmethod(F.tanh)


class Softplus(FunctionalModule):
    """log(1 + exp(``beta`` x)) / ``beta``, and x itself where ``beta`` x > ``threshold``."""

    function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(beta=beta, threshold=threshold)


class Softmax(FunctionalModule):
    """exp(x_i) / sum_j exp(x_j) along ``dim``: positive, and sums to one.

    Do not put it before `CrossEntropyLoss`, which takes logits.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Softmax(dim=1)(tg.zeros(1, 4))
    tensor([[0.25, 0.25, 0.25, 0.25]])
    """

    function = staticmethod(F.softmax)

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class LogSoftmax(FunctionalModule):
    """The logarithm of `Softmax`, without its underflow: what `NLLLoss` takes."""

    function = staticmethod(F.log_softmax)

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)
