"""Normalisation: `BatchNorm1d` over the batch, `LayerNorm` over the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._tensor import Tensor
from ..ops.create import zeros
from ..ops.validation import as_tensor, integer
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

# The buffers of `BatchNorm1d`, and the values that they begin with.
STATISTICS = {"running_mean": 0, "running_var": 1, "num_batches_tracked": 0}


class _Normalization(Module):
    """Base of the normalisations: a learned weight and bias for what has mean 0 and variance 1."""

    weight: Parameter | None
    bias: Parameter | None

    def _add_affine(self, shape: Any, weight: bool, bias: bool, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", weight and bias)):
            value = Parameter(zeros(shape, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)

    def reset_parameters(self) -> None:
        """Set weight to 1 and bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class BatchNorm1d(_Normalization):
    """Normalise each feature: out = (x - mean) / sqrt(var + eps) * weight + bias.

    x and out are (N, C) or (N, C, L), all else is (C,), of one floating dtype. In training mean and
    var are those of the batch, and the running statistics move towards them:

        running = (1 - momentum) running + momentum batch        (var unbiased, / (n - 1))

    In evaluation mean and var are the running ones.

    Keras counts momentum the other way, as the share of the old value: its defaults, momentum 0.99
    and epsilon 1e-3, are ``momentum=0.01, eps=1e-3`` here. Its moving variance is that of the batch
    divided by n, not n - 1: for batches of 128 smaller by 0.8 %.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the share of the new batch; None for the mean over all batches.
        affine: whether there are weight and bias.
        track_running_stats: False to normalise by the batch in evaluation too.
        bias: False for a weight without a bias.
        dtype: that of parameters and statistics; the default dtype if None.

    Raises:
        ValueError: in a call, for another number of features; in training, for an empty batch or
            one value per feature.

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

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = None,
        bias: bool = True,
    ):
        super().__init__()
        self.num_features = integer("BatchNorm1d", "num_features", num_features, least=1)
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._add_affine(num_features, affine, bias, dtype)
        for name in STATISTICS:
            count = name == "num_batches_tracked"
            value = zeros(dtype="int64") if count else zeros(num_features, dtype=dtype)
            self.register_buffer(name, value if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running statistics to mean 0 and variance 1, of no batches."""
        for name, value in STATISTICS.items():
            if (statistic := getattr(self, name)) is not None:
                init.constant_(statistic, value)

    def reset_parameters(self) -> None:
        """Set weight to 1 and bias to 0, and reset the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input, of its shape."""
        shape = as_tensor("BatchNorm1d", "input", input).layout.shape
        if len(shape) not in (2, 3) or shape[1] != self.num_features:
            raise ValueError(
                f"{self}: `input` has shape {shape}; wanted (N, {self.num_features}) or "
                f"(N, {self.num_features}, L)"
            )
        update = self.training and self.track_running_stats
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        running = (self.running_mean, self.running_var) if update or not by_batch else (None, None)
        batches = self.num_batches_tracked if update else None
        return F.batch_norm(
            input, *running, self.weight, self.bias, by_batch, self.momentum, self.eps, batches
        )

    def extra_repr(self) -> str:
        """Return the options."""
        options = self._options("eps", "momentum", "affine")
        bias, track = self.bias is not None, self._options("track_running_stats")
        return f"{self.num_features}, {options}, bias={bias}, {track}"


class LayerNorm(_Normalization):
    """Normalise each sample over its last axes: out = (x - mean) / sqrt(var + eps) * weight + bias.

    x and out (..., *normalized_shape), weight and bias ``normalized_shape``, of one floating dtype.
    The same in training and evaluation.

    Args:
        normalized_shape: the sizes of the last axes, or the size of the last one.
        eps: added to the variance.
        elementwise_affine: whether there are weight and bias.
        bias: False for a weight without a bias.
        dtype: that of the parameters; the default dtype if None.

    Raises:
        ValueError: in a call, for a shape that does not end in ``normalized_shape``.

    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv 1607.06450.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.LayerNorm(2, eps=0.0)(tg.tensor([[1.0, 3.0]]))
    tensor([[-1.,  1.]], grad_fn=<layer_norm>)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = None,
    ):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape, self.eps = tuple(shape), eps
        self.elementwise_affine = elementwise_affine
        self._add_affine(self.normalized_shape, elementwise_affine, bias, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input, of its shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the options."""
        options = self._options("eps", "elementwise_affine")
        return f"{self.normalized_shape}, {options}, bias={self.bias is not None}"
