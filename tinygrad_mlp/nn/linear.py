"""`Linear`, and the modules that only pass on or reshape: `Identity`, `Flatten`."""

from __future__ import annotations

import math
from typing import Any

from .._tensor import Tensor
from ..ops.create import zeros
from ..ops.shape.view import flatten
from ..ops.validation import integer
from . import functional as F
from . import init
from .functional_module import FunctionalModule
from .module import Module
from .parameter import Parameter


class Linear(Module):
    """Apply a linear map: out = x W^T + b.

    Shapes: x (..., in_features), ``weight`` W (out_features, in_features), ``bias`` b
    (out_features,), out (..., out_features), all of one floating dtype. Weight and bias begin
    uniform in [-1/sqrt(in_features), 1/sqrt(in_features)].

    Args:
        in_features: the number of features of x.
        out_features: the number of features of out.
        bias: whether there is a b.
        dtype: that of weight and bias; the default dtype if None.

    Raises:
        ValueError: for a negative number of features; in a call, for another number of features.
        TypeError: in a call, for another dtype than the weight's.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Linear(784, 10)(tg.ones(32, 784)).shape
    (32, 10)
    """

    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, dtype: Any = None
    ):
        super().__init__()
        name = type(self).__name__
        self.in_features = integer(name, "in_features", in_features, least=0)
        self.out_features = integer(name, "out_features", out_features, least=0)
        self.weight = Parameter(zeros(out_features, in_features, dtype=dtype))
        b = Parameter(zeros(out_features, dtype=dtype)) if bias else None
        self.register_parameter("bias", b)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def _check(self, input: Tensor, weight: Tensor) -> None:
        """Raise an error that names this layer if it cannot take ``input``."""
        if not isinstance(input, Tensor):
            raise TypeError(
                f"{self}: `input` must be a tensor, not {type(input).__name__}: tg.tensor(x)"
            )
        x, w = input.layout, weight.layout
        if not x.ndim or x.shape[-1] != w.shape[1]:
            flattened = x.ndim > 2 and math.prod(x.shape[1:]) == w.shape[1]
            raise ValueError(
                f"{self}: `input` has shape {x.shape}, but its last size must be in_features, "
                f"{w.shape[1]}{': put nn.Flatten() before it' if flattened else ''}"
            )
        if x.dtype != w.dtype:
            raise TypeError(
                f"{self}: `input` is {x.dtype}, but the weight is {w.dtype}: convert the "
                f'data, x.to("{w.dtype}"), or the model, model.to("{x.dtype}")'
            )

    def forward(self, input: Tensor) -> Tensor:
        """Return x W^T + b."""
        weight = self.weight
        self._check(input, weight)
        return F.linear(input, weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes, and whether there is a bias."""
        return f"{self._options('in_features', 'out_features')}, bias={self.bias is not None}"


class Identity(Module):
    """Return the input as it is.

    Args:
        *args: ignored, as are **kwargs, so that it can take any layer's place.

    >>> from tinygrad_mlp import nn
    >>> nn.Identity(54, unused=True)(3)
    3
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return ``input``."""
        return input


class Flatten(FunctionalModule):
    """Join the axes ``start_dim`` to ``end_dim`` in one; by default all but the first, the batch.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Flatten()(tg.ones(32, 28, 28)).shape
    (32, 784)
    """

    function = staticmethod(flatten)

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__(start_dim=start_dim, end_dim=end_dim)
