"""`Linear`, and what reshapes or passes on."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.tape import Value
from ..ops.create import zeros
from ..ops.shape.view import flatten
from . import functional as F
from . import init
from .functional_module import FunctionalModule
from .module import Module
from .parameter import Parameter


class Linear(Module):
    """out = x W^T + b.

    x (..., in_features), out (..., out_features). ``weight`` (out_features, in_features) and
    ``bias`` (out_features,) begin uniform in [-1/sqrt(in_features), 1/sqrt(in_features)].

    Raises ValueError for another number of features, TypeError for another dtype than the weight's.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Linear(784, 10)(tg.ones(32, 784)).shape
    (32, 10)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = None):
        super().__init__()
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 0:
                raise ValueError(
                    f"{type(self).__name__}: `{name}` is a number of features, not {size!r}"
                )
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(zeros(out_features, in_features, dtype=dtype))
        self.bias = Parameter(zeros(out_features, dtype=dtype)) if bias else None
        if not bias:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def _check(self, input: Any, weight: Any) -> None:
        """Raise an error with this layer's name if it cannot take ``input``."""
        if not isinstance(input, Value):
            raise TypeError(
                f"{self}: input must be a tensor, not {type(input).__name__}: tg.tensor(x)"
            )
        x, weight = input.layout, weight.layout
        if not x.ndim or x.shape[-1] != weight.shape[1]:
            flattened = x.ndim > 2 and math.prod(x.shape[1:]) == weight.shape[1]
            raise ValueError(
                f"{self}: input has shape {x.shape}, but its last size must be in_features, "
                f"{weight.shape[1]}{': put nn.Flatten() before it' if flattened else ''}"
            )
        if x.dtype != weight.dtype:
            raise TypeError(
                f"{self}: input is {x.dtype}, but the weight is {weight.dtype}: convert the data, "
                f'x.to("{weight.dtype}"), or the model, model.to("{x.dtype}")'
            )

    def forward(self, input: Any) -> Any:
        """(..., in_features) to (..., out_features)."""
        weight = self.weight
        self._check(input, weight)
        return F.linear(input, weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Module):
    """Returns what it is given; takes any arguments, and ignores them.

    >>> from tinygrad_mlp import nn
    >>> nn.Identity(54, unused=True)(3)
    3
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Any) -> Any:
        """``input``."""
        return input


class Flatten(FunctionalModule):
    """Axes ``start_dim`` to ``end_dim`` as one: by default all but the first, the batch.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Flatten()(tg.ones(32, 28, 28)).shape
    (32, 784)
    """

    function = staticmethod(flatten)

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__(start_dim=start_dim, end_dim=end_dim)
