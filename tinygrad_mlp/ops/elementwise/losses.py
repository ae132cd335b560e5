"""Losses of one element each: an elementwise op, then a mean, a sum, or neither."""

# mypy: disable-error-code="has-type,operator"
# (mypy checks the formulas of a module before it has inferred the operators of Tensor.)

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ...kernels.codegen import expression
from .. import reduce
from ..validation import as_floating, as_tensor, like, reduction_of
from ..value_check import ValueCheck
from .activation import softplus
from .arithmetic import clamp_min, sign, where
from .declare import Elementwise, elementwise
from .transcendental import log, sigmoid

if TYPE_CHECKING:
    from ..._tensor import Tensor

_of_elements = functools.partial(elementwise, dtype="float", public=False)

_squared_error = _of_elements(
    "squared_error",
    lambda x, y: (x - y) * (x - y),
    x=lambda g, x, y: 2 * g * (x - y),
    y=lambda g, x, y: 2 * g * (y - x),
)

_absolute_error = _of_elements(
    "absolute_error",
    lambda x, y: expression.absolute(x - y),
    about="Return |x - y|. The derivative where they are equal is 0.",
    x=lambda g, x, y: g * sign(x - y),
    y=lambda g, x, y: g * sign(y - x),
)

huber = _of_elements(
    "huber",
    lambda x, y, delta: expression.where(
        expression.absolute(x - y) <= delta,
        0.5 * (x - y) * (x - y),
        delta * (expression.absolute(x - y) - 0.5 * delta),
    ),
    about="Return Huber's loss of one element.",
    x=lambda g, x, y, delta: g * _clip(x - y, delta),
    y=lambda g, x, y, delta: -g * _clip(x - y, delta),
)


def _clip(d: Any, delta: Any) -> Any:
    return where(d > delta, delta, where(d < -delta, -delta, d))


_binary_cross_entropy = _of_elements(
    "binary_cross_entropy",
    lambda x, y: (y - 1) * _log_at_least(1 - x, -100) - y * _log_at_least(x, -100),
    about="Return -y log(x) - (1 - y) log(1 - x), with each logarithm at least -100.",
    x=lambda g, x, y: g * (x - y) / where((1 - x) * x < 1e-12, 1e-12, (1 - x) * x),
    y=lambda g, x: g * (clamp_min(log(1 - x), -100) - clamp_min(log(x), -100)),
)


def _log_at_least(x: Any, least: Any) -> Any:
    return expression.where(expression.log(x) < least, least, expression.log(x))


_binary_cross_entropy_with_logits = _of_elements(
    "binary_cross_entropy_with_logits",
    lambda x, y, pos_weight: (1 - y) * x + (1 + (pos_weight - 1) * y) * expression.softplus(-x),
    about="Return -p y log(sigmoid(x)) - (1 - y) log(1 - sigmoid(x)), with p = ``pos_weight``. By "
    "softplus, so that no exponential overflows.",
    x=lambda g, x, y, pos_weight: g * (1 - y - (1 + (pos_weight - 1) * y) * (1 - sigmoid(x))),
    y=lambda g, x, pos_weight: g * (pos_weight * _softplus(-x) - _softplus(x)),
    pos_weight=lambda g, x, y: g * y * _softplus(-x),
)


def _softplus(x: Any) -> Any:
    return softplus(x, 1, 50)


# --- the public forms: PyTorch's signatures ---


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return the squared error, ``(input - target)^2``.

    Args:
        input: any shape, floating.
        target: of the same shape and dtype.
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ValueError: the shapes differ (PyTorch broadcasts them, with a warning: (N, 1) and (N,)
            would make (N, N) errors), or the mean of an empty batch.
        TypeError: the dtypes differ or are not floating.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.mse_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """
    return _loss("mse_loss", _squared_error, input, target, reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return the absolute error, ``|input - target|``; arguments and errors as in `mse_loss`.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.l1_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]), reduction="sum")
    tensor(2.)
    """
    return _loss("l1_loss", _absolute_error, input, target, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """Return Huber's loss: quadratic near 0, linear beyond ``delta``.

        loss = d^2 / 2                          if |d| <= delta,    with d = input - target
               delta (|d| - delta / 2)          else

    Arguments and errors as in `mse_loss`.

    Source: P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 1964.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.huber_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.5, 5.0]), reduction="none")
    tensor([0.125, 2.5  ])
    """
    if not isinstance(delta, (int, float)) or not delta > 0:
        raise ValueError(f"huber_loss: `delta` must be a number above 0, not {delta!r}")
    return _loss("huber_loss", huber, input, target, reduction, None, delta)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Any = None, *, reduction: str = "mean"
) -> Tensor:
    """Return the cross-entropy of probabilities.

        loss = -w (y log(x) + (1 - y) log(1 - x))

    Each logarithm counts as at least -100. From logits use `binary_cross_entropy_with_logits`,
    which is exact where the sigmoid rounds to 0 or 1.

    Args:
        input: probabilities x, any shape, floating.
        target: y from 0 to 1, of the same shape and dtype.
        weight: w, broadcasts to the shape of ``input``.
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ValueError: an element is not from 0 to 1, or shapes do not fit.
        TypeError: the dtypes differ or are not floating.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.binary_cross_entropy(tg.tensor([0.5, 0.25]), tg.tensor([1.0, 0.0]), reduction="none")
    tensor([0.6931, 0.2877])
    """
    name = "binary_cross_entropy"
    input, target = _pair(name, input, target)
    _check_input(input)
    _check_target(target)
    return _loss(name, _binary_cross_entropy, input, target, reduction, weight)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Any = None,
    *,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """Return the `binary_cross_entropy` of ``sigmoid(input)``, without overflow.

        loss = -w (p y log(sigmoid(x)) + (1 - y) log(1 - sigmoid(x)))

    Args:
        input: logits x, any shape, floating.
        target: y, of the same shape and dtype.
        weight: w, broadcasts to the shape of ``input``.
        reduction: "mean" or "sum" over all elements, or "none".
        pos_weight: p, a factor for the positive targets, broadcasts to the shape of ``input``.

    Raises:
        ValueError: shapes do not fit.
        TypeError: the dtypes differ or are not floating.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.binary_cross_entropy_with_logits(tg.tensor([0.0, 1000.0]), tg.tensor([1.0, 1.0]))
    tensor(0.3466)
    """
    name = "binary_cross_entropy_with_logits"
    input, target = _pair(name, input, target)
    if pos_weight is not None:
        pos_weight = _factor(name, "pos_weight", as_tensor(name, "pos_weight", pos_weight), input)
    factor = 1.0 if pos_weight is None else pos_weight
    op = _binary_cross_entropy_with_logits
    return _loss(name, op, input, target, reduction, weight, factor)


def _loss(
    name: str,
    op: Elementwise,
    input: Tensor,
    target: Tensor,
    reduction: str,
    weight: Any = None,
    *more: Any,
) -> Tensor:
    """Return the weighted and reduced losses of the elements."""
    input, target = _pair(name, input, target)
    reduction = reduction_of(name, reduction, input.layout.size)
    weight = _factor(name, "weight", weight, input)
    losses = op(input, target, *more)
    losses = losses if weight is None else losses * weight
    if reduction == "none":
        return losses
    return reduce.mean(losses) if reduction == "mean" else reduce.sum(losses)


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
    """Return a weight; ValueError if it does not broadcast to the shape of ``input``."""
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
