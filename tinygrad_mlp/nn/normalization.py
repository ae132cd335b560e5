"""Normalisation: `BatchNorm1d` over the batch, `LayerNorm` over the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.tape import Value
from ..ops.create import ones, zeros
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class BatchNorm1d(Module):
    """out = (x - mean) / sqrt(var + eps) * weight + bias, for each feature.

    x (N, C) or (N, C, L). In training mean and var are those of the batch, and the running
    statistics move towards them:

        running = (1 - momentum) running + momentum batch        (var unbiased, / (n - 1))

    ``momentum=None`` makes them the average over all batches. In evaluation mean and var are the
    running ones. ``affine=False`` leaves out weight and bias, ``bias=False`` the bias. With
    ``track_running_stats=False`` there are no running ones: evaluation normalises by the batch too.

    Raises ValueError for another number of features, and in training for an empty batch or a batch
    of one.

    Source: S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by
    reducing internal covariate shift", ICML 2015.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> layer = nn.BatchNorm1d(1)
    >>> layer(tg.tensor([[1.0], [3.0]])).shape
    (2, 1)
    >>> layer.running_mean
    tensor([0.2])
    """

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if isinstance(num_features, bool) or not isinstance(num_features, int) or num_features < 1:
            raise ValueError(
                f"BatchNorm1d: `num_features` is a number of features, not {num_features!r}"
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            value = Parameter(zeros(num_features, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)
        track = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if track else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype) if track else None)
        self.register_buffer("num_batches_tracked", zeros(dtype="int64") if track else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen so far."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Begin anew: weight 1, bias 0, no batch seen."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """(N, C) or (N, C, L) to the same shape."""
        if not isinstance(input, Value):
            raise TypeError(
                f"{self}: input must be a tensor, not {type(input).__name__}: tg.tensor(x)"
            )
        shape = input.layout.shape
        if len(shape) not in (2, 3) or shape[1] != self.num_features:
            raise ValueError(
                f"{self}: input has shape {shape}; wanted (N, {self.num_features}) or "
                f"(N, {self.num_features}, L)"
            )
        update = self.training and self.track_running_stats
        of_batch = self.training or (self.running_mean is None and self.running_var is None)
        keep = update or not of_batch
        return F.batch_norm(
            input,
            self.running_mean if keep else None,
            self.running_var if keep else None,
            self.weight,
            self.bias,
            of_batch,
            self.momentum,
            self.eps,
            self.num_batches_tracked if update else None,
        )

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class LayerNorm(Module):
    """out = (x - mean) / sqrt(var + eps) * weight + bias, for each sample over its last axes.

    ``normalized_shape`` names these axes by their sizes; weight and bias have this shape. The same
    in training and evaluation.

    Raises ValueError if x does not end in ``normalized_shape``.

    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv 1607.06450.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.LayerNorm(2, eps=0.0)(tg.tensor([[1.0, 3.0]]))
    tensor([[-1.,  1.]], grad_fn=<layer_norm>)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = None,
    ):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape, self.eps = tuple(shape), eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            value = Parameter(zeros(self.normalized_shape, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin anew: weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """Any shape that ends in ``normalized_shape``, to the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )
