"""Losses of one element each: an elementwise op, then a mean, a sum, or neither."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels.codegen import expression
from .. import reduce
from ..validation import as_floating, as_tensor, like, reduction_of
from ..value_check import ValueCheck
from .activation import binary_cross_entropy as _binary_cross_entropy
from .activation import binary_cross_entropy_with_logits as _binary_cross_entropy_with_logits
from .activation import huber
from .arithmetic import sign
from .declare import elementwise

_squared_error = elementwise(
    "squared_error",
    lambda x, y: (x - y) * (x - y),
    public=False,
    dtype="float",
    x=lambda g, x, y: 2 * g * (x - y),
    y=lambda g, x, y: 2 * g * (y - x),
)

_absolute_error = elementwise(
    "absolute_error",
    lambda x, y: expression.absolute(x - y),
    public=False,
    dtype="float",
    about="|x - y|. The derivative where they are equal is 0.",
    x=lambda g, x, y: g * sign(x - y),
    y=lambda g, x, y: g * sign(y - x),
)


def mse_loss(input: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The squared error, ``(input - target)^2``, reduced: "mean", "sum" or "none".

    Both of one shape and floating dtype.

    Raises ValueError for different shapes (PyTorch broadcasts them, with a warning: (N, 1) and (N,)
    would silently make (N, N) errors), or an empty batch under "mean".

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.mse_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """
    input, target = _pair("mse_loss", input, target)
    return _reduced("mse_loss", _squared_error(input, target), reduction)


def l1_loss(input: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The absolute error, ``|input - target|``, reduced; shapes and errors as in `mse_loss`.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.l1_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]), reduction="sum")
    tensor(2.)
    """
    input, target = _pair("l1_loss", input, target)
    return _reduced("l1_loss", _absolute_error(input, target), reduction)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Huber's loss, with d = input - target: ``d^2 / 2`` up to |d| = delta, then linear.

        loss = d^2 / 2                          if |d| <= delta
               delta (|d| - delta / 2)          else

    Shapes and errors as in `mse_loss`.

    Source: P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 1964.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.huber_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.5, 5.0]), reduction="none")
    tensor([0.125, 2.5  ])
    """
    input, target = _pair("huber_loss", input, target)
    if not isinstance(delta, (int, float)) or not delta > 0:
        raise ValueError(f"huber_loss: `delta` must be a number above 0, not {delta!r}")
    return _reduced("huber_loss", huber(input, target, delta), reduction)


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, *, reduction: str = "mean"
) -> Any:
    """The cross-entropy of probabilities: ``-w (y log(x) + (1 - y) log(1 - x))``, reduced.

    Each logarithm counts as at least -100. ``input`` and ``target`` in [0, 1] and of one shape, to
    which ``weight`` broadcasts. From logits use `binary_cross_entropy_with_logits`, which is exact
    where the sigmoid is 0 or 1 to all digits.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.binary_cross_entropy(tg.tensor([0.5, 0.25]), tg.tensor([1.0, 0.0]), reduction="none")
    tensor([0.6931, 0.2877])
    """
    name = "binary_cross_entropy"
    input, target = _pair(name, input, target)
    _check_input(input)
    _check_target(target)
    weight = _factor(name, "weight", weight, input)
    losses = _binary_cross_entropy(input, target)
    return _reduced(name, losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """`binary_cross_entropy` of ``sigmoid(input)``, computed so that nothing overflows.

        loss = -w (p y log(sigmoid(x)) + (1 - y) log(1 - sigmoid(x)))

    with p = ``pos_weight``, a factor for the positive targets, and w = ``weight``; both broadcast
    to the shape of ``input``.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.binary_cross_entropy_with_logits(tg.tensor([0.0, 1000.0]), tg.tensor([1.0, 1.0]))
    tensor(0.3466)
    """
    name = "binary_cross_entropy_with_logits"
    input, target = _pair(name, input, target)
    weight = _factor(name, "weight", weight, input)
    if pos_weight is not None:
        pos_weight = _factor(name, "pos_weight", as_tensor(name, "pos_weight", pos_weight), input)
    factor = 1.0 if pos_weight is None else pos_weight
    losses = _binary_cross_entropy_with_logits(input, target, factor)
    return _reduced(name, losses if weight is None else losses * weight, reduction)


def _pair(name: str, input: Any, target: Any) -> tuple[Any, Any]:
    input = as_floating(name, "input", input)
    return input, like(name, "target", target, "input", input)


def _check_probabilities(argument: str, advice: str) -> ValueCheck:
    """Return a check that all elements of an argument are from 0 to 1; NaN is not."""

    def error(value: float, k: int) -> ValueError:
        return ValueError(
            f"binary_cross_entropy: `{argument}` must be probabilities from 0 to 1, but holds "
            f"{value}; {advice}"
        )

    return ValueCheck(f"check_{argument}", lambda: (0.0, 1.0), error)


_check_input = _check_probabilities(
    "input", "put a sigmoid before it, or use binary_cross_entropy_with_logits"
)
_check_target = _check_probabilities("target", "0 and 1 stand for the two classes")


def _factor(name: str, argument: str, value: Any, input: Any) -> Any:
    """A weight, if it broadcasts to the shape of ``input`` and does not enlarge it."""
    if value is None or isinstance(value, (int, float, np.number)):
        return value
    value = as_tensor(name, argument, value)
    given, wanted = value.layout.shape, input.layout.shape
    aligned = zip(reversed(given), reversed(wanted), strict=False)
    if len(given) > len(wanted) or any(n not in (1, size) for n, size in aligned):
        raise ValueError(
            f"{name}: `{argument}` has shape {given}, which does not broadcast to that of `input`, "
            f"{wanted}"
        )
    return value


def _reduced(name: str, losses: Any, reduction: str) -> Any:
    reduction = reduction_of(name, reduction, losses.layout.size)
    if reduction == "none":
        return losses
    return reduce.mean(losses) if reduction == "mean" else reduce.sum(losses)
