"""Losses as modules: each holds its options and calls the function of the same name."""

from __future__ import annotations

from typing import Any

from ..ops.validation import as_tensor
from . import functional as F
from .functional_module import FunctionalModule


class Loss(FunctionalModule):
    """A function of an input and a target; ``reduction`` is "mean", "sum", or "none".

    Weights are buffers, so that they are converted and saved with the module.
    """

    def __init__(self, *, reduction: str, **options: Any):
        name = type(self).__name__
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(
                f'{name}: `reduction` must be "none", "mean" or "sum", not {reduction!r}'
            )
        super().__init__(reduction=reduction, **options)
        for option in ("weight", "pos_weight"):
            if option in options:
                given = options[option]
                value = None if given is None else as_tensor(name, option, given)
                self.register_buffer(option, value)

    def extra_repr(self) -> str:
        """Nothing: as in PyTorch."""
        return ""


class CrossEntropyLoss(Loss):
    """`functional.cross_entropy` of logits (N, C) with labels (N,) or probabilities (N, C).

        loss_n = -weight_y log softmax(input_n)_y

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    >>> loss(tg.zeros(4, 10), tg.tensor([1, 2, 3, 4]))
    tensor(2.3026)
    """

    function = staticmethod(F.cross_entropy)

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )


class NLLLoss(Loss):
    """The loss of log-probabilities (N, C) with labels y (N,): ``-weight_y input_ny``."""

    function = staticmethod(F.nll_loss)

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"):
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction)


class MSELoss(Loss):
    """The squared error, (input - target)^2.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """

    function = staticmethod(F.mse_loss)

    def __init__(self, *, reduction: str = "mean"):
        super().__init__(reduction=reduction)


class L1Loss(Loss):
    """The absolute error, |input - target|."""

    function = staticmethod(F.l1_loss)

    def __init__(self, *, reduction: str = "mean"):
        super().__init__(reduction=reduction)


class HuberLoss(Loss):
    """Quadratic for errors up to ``delta``, linear beyond (P. J. Huber, 1964)."""

    function = staticmethod(F.huber_loss)

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction, delta=delta)


class BCELoss(Loss):
    """The cross-entropy of probabilities: -w (y log(x) + (1 - y) log(1 - x))."""

    function = staticmethod(F.binary_cross_entropy)

    def __init__(self, weight: Any = None, *, reduction: str = "mean"):
        super().__init__(weight=weight, reduction=reduction)


class BCEWithLogitsLoss(Loss):
    """`BCELoss` of sigmoid(input), without overflow; ``pos_weight`` scales positive targets."""

    function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None):
        super().__init__(weight=weight, reduction=reduction, pos_weight=pos_weight)
