"""Losses as modules. Each holds the options of the function in ``functional.py`` that it calls.

All but two options are keyword-only: PyTorch has its deprecated ``size_average`` and ``reduce``
between them, which do not exist here. Input and target have one floating dtype, or the target is of
integer labels.
"""

from __future__ import annotations

from typing import Any, Literal

from .._tensor import Tensor
from ..ops.validation import as_tensor, reduction_of
from . import functional as F
from .functional_module import FunctionalModule

Reduction = Literal["none", "mean", "sum"]
Weight = Tensor | None


class Loss(FunctionalModule):
    """Base of losses: a function of an input and a target, with a reduction and options.

    Weights are registered as buffers, so that they are converted and saved with the module.
    """

    def __init__(self, *, reduction: str, **options: Any):
        name = type(self).__name__
        super().__init__(reduction=reduction_of(name, reduction, 1), **options)
        for option in ("weight", "pos_weight"):
            if option in options:
                value = options[option]
                value = None if value is None else as_tensor(name, option, value)
                self.register_buffer(option, value)

    def extra_repr(self) -> str:
        """Return nothing, as in PyTorch."""
        return ""


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits with labels or probabilities.

        loss_n = -weight_y log softmax(input_n)_y        for the label y of row n

    Shapes: input (N, C), target (N,) labels or (N, C) probabilities; more axes after C are further
    rows. `functional.cross_entropy` has the details.

    Args:
        weight: a factor for each class, (C,).
        ignore_index: rows with this label do not count.
        reduction: "mean" (over the weights of the labels), "sum" or "none".
        label_smoothing: the share of the target that is spread evenly over all classes.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    >>> loss(tg.zeros(4, 10), tg.tensor([1, 2, 3, 4]))
    tensor(2.3026)
    """

    function = staticmethod(F.cross_entropy)

    def __init__(
        self,
        weight: Weight = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ):
        options = dict(ignore_index=ignore_index, label_smoothing=label_smoothing)
        super().__init__(weight=weight, reduction=reduction, **options)


class NLLLoss(Loss):
    """Negative log-likelihood: -weight_y input_ny for log-probabilities and the label y of row n.

    Shapes: input (N, C), target (N,) labels.

    Args:
        weight: a factor for each class, (C,).
        ignore_index: rows with this label do not count.
        reduction: "mean" (over the weights of the labels), "sum" or "none".

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.NLLLoss()(tg.tensor([[-0.5, -1.0], [-2.0, -0.25]]), tg.tensor([0, 1]))
    tensor(0.375)
    """

    function = staticmethod(F.nll_loss)

    def __init__(
        self, weight: Weight = None, *, ignore_index: int = -100, reduction: Reduction = "mean"
    ):
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction)


class MSELoss(Loss):
    """Squared error: (input - target)^2.

    Shapes: input and target (*), one floating dtype; result () or (*).

    Args:
        reduction: "mean", "sum" or "none".

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """

    function = staticmethod(F.mse_loss)

    def __init__(self, *, reduction: Reduction = "mean"):
        super().__init__(reduction=reduction)


class L1Loss(Loss):
    """Absolute error: |input - target|.

    Shapes: input and target (*), one floating dtype; result () or (*).

    Args:
        reduction: "mean", "sum" or "none".

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.L1Loss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(1.)
    """

    function = staticmethod(F.l1_loss)

    def __init__(self, *, reduction: Reduction = "mean"):
        super().__init__(reduction=reduction)


class HuberLoss(Loss):
    """Huber's loss: d^2 / 2 for d = |input - target| up to delta, then delta (d - delta / 2).

    Shapes: input and target (*), one floating dtype; result () or (*).

    Args:
        reduction: "mean", "sum" or "none".
        delta: where the loss becomes linear, above 0.

    Source: P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 1964.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.HuberLoss(reduction="none")(tg.tensor([1.0, 2.0]), tg.tensor([1.5, 5.0]))
    tensor([0.125, 2.5  ])
    """

    function = staticmethod(F.huber_loss)

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction, delta=delta)


class BCELoss(Loss):
    """Cross-entropy of probabilities: -w (y log(x) + (1 - y) log(1 - x)) for the target y.

    Shapes: input x and target y (*), one floating dtype, both from 0 to 1; result () or (*).

    Args:
        weight: the factors w, broadcast to the input.
        reduction: "mean", "sum" or "none".

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.BCELoss(reduction="none")(tg.tensor([0.5, 0.25]), tg.tensor([1.0, 0.0]))
    tensor([0.6931, 0.2877])
    """

    function = staticmethod(F.binary_cross_entropy)

    def __init__(self, weight: Weight = None, *, reduction: Reduction = "mean"):
        super().__init__(weight=weight, reduction=reduction)


class BCEWithLogitsLoss(Loss):
    """`BCELoss` of sigmoid(input), computed without overflow.

        loss = -w (p y log(sigmoid(x)) + (1 - y) log(1 - sigmoid(x)))

    Shapes: input x and target y (*), one floating dtype; result () or (*).

    Args:
        weight: the factors w, broadcast to the input.
        reduction: "mean", "sum" or "none".
        pos_weight: p, a factor for positive targets, broadcast to the input.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.BCEWithLogitsLoss()(tg.tensor([0.0, 1000.0]), tg.tensor([1.0, 1.0]))
    tensor(0.3466)
    """

    function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(
        self, weight: Weight = None, *, reduction: Reduction = "mean", pos_weight: Weight = None
    ):
        super().__init__(weight=weight, reduction=reduction, pos_weight=pos_weight)
