"""Activation functions as modules. Each holds the options of the function of the same name.

The result has the shape and the floating dtype of the input x. An integer input becomes one of the
default dtype, but `ReLU` keeps it and `Softmax` and `LogSoftmax` refuse it with a TypeError. These
two work along an axis, the others elementwise. `PReLU` has a learned slope. The functions are in
``functional.py``.
"""

from __future__ import annotations

from typing import Any, Literal

from .._tensor import Tensor
from ..ops.create import full
from ..ops.validation import integer
from . import functional as F
from .functional_module import FunctionalModule
from .init import constant_
from .module import Module
from .parameter import Parameter


class ReLU(FunctionalModule):
    """Rectified linear unit: max(x, 0).

    Args:
        inplace: whether to write the result into the input.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.ReLU()(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    function = staticmethod(F.relu)

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class LeakyReLU(FunctionalModule):
    """Leaky rectified linear unit: x where x > 0, else ``negative_slope`` x.

    Args:
        negative_slope: the factor of negative x.
        inplace: whether to write the result into the input.

    Source: A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network
    acoustic models", ICML 2013.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.LeakyReLU(0.1)(tg.tensor([-1.0, 2.0]))
    tensor([-0.1,  2. ])
    """

    function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class PReLU(Module):
    """Leaky rectified linear unit with a learned slope: x where x > 0, else ``weight`` x.

    x (N, num_parameters, ...), or any shape with one slope; ``weight`` (num_parameters,). Do not
    decay this weight: that would draw it to ReLU.

    Args:
        num_parameters: 1 for one slope, or the number of channels.
        init: the first value of the slopes.
        dtype: that of the weight; the default dtype if None.

    Source: K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.PReLU()(tg.tensor([[-1.0, 2.0]])).tolist()
    [[-0.25, 2.0]]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = None):
        super().__init__()
        self.num_parameters = integer("PReLU", "num_parameters", num_parameters, least=1)
        self.init = init
        self.weight = Parameter(full((num_parameters,), init, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set the slopes to ``init`` again."""
        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Return `functional.prelu` of the input."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the number of slopes."""
        return self._options("num_parameters")


class ELU(FunctionalModule):
    """Exponential linear unit: x where x > 0, else ``alpha`` (exp(x) - 1).

    Args:
        alpha: minus the limit at minus infinity.
        inplace: whether to write the result into the input.

    Source: D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network
    learning by exponential linear units", ICLR 2016.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.ELU()(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.    ])
    """

    function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class GELU(FunctionalModule):
    """Gaussian error linear unit: x P(X <= x) for a standard normal X.

    Args:
        approximate: "none", or "tanh" for 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    Source: D. Hendrycks and K. Gimpel, "Gaussian error linear units", arXiv 1606.08415.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.GELU()(tg.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    function = staticmethod(F.gelu)

    def __init__(self, approximate: Literal["none", "tanh"] = "none"):
        super().__init__(approximate=approximate)


class SiLU(FunctionalModule):
    """Sigmoid linear unit, also called swish: x / (1 + exp(-x)).

    Args:
        inplace: whether to write the result into the input.

    Source: S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", arXiv 1702.03118.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.SiLU()(tg.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    function = staticmethod(F.silu)

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class Sigmoid(FunctionalModule):
    """Logistic function: 1 / (1 + exp(-x)).

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Sigmoid()(tg.tensor([-1.0, 2.0]))
    tensor([0.2689, 0.8808])
    """

    function = staticmethod(F.sigmoid)

    def __init__(self) -> None:
        super().__init__()


class Tanh(FunctionalModule):
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Tanh()(tg.tensor([-1.0, 2.0]))
    tensor([-0.7616,  0.964 ])
    """

    function = staticmethod(F.tanh)

    def __init__(self) -> None:
        super().__init__()


class Softplus(FunctionalModule):
    """Smooth form of ReLU: log(1 + exp(``beta`` x)) / ``beta``.

    Args:
        beta: larger values are nearer to ReLU.
        threshold: x itself is returned where ``beta`` x is above it.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Softplus()(tg.tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """

    function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(beta=beta, threshold=threshold)


class Softmax(FunctionalModule):
    """Normalised exponentials: exp(x_i) / sum_j exp(x_j) along an axis, positive and of sum 1.

    Do not put it before `CrossEntropyLoss`, which takes logits.

    Args:
        dim: the axis; None chooses one with a warning, as in PyTorch.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Softmax(dim=1)(tg.zeros(1, 4))
    tensor([[0.25, 0.25, 0.25, 0.25]])
    """

    function = staticmethod(F.softmax)

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class LogSoftmax(FunctionalModule):
    """Logarithm of `Softmax`: x_i - log(sum_j exp(x_j)) along an axis. `NLLLoss` takes it.

    Args:
        dim: the axis; None chooses one with a warning, as in PyTorch.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.LogSoftmax(dim=1)(tg.tensor([[0.0, 1000.0]]))
    tensor([[-1000.,     0.]])
    """

    function = staticmethod(F.log_softmax)

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)
