"""Gradient clipping, after R. Pascanu, T. Mikolov and Y. Bengio, ICML 2013, section 3.2."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

from ..autograd.modes import grad_mode, recording
from ..autograd.tape import Value
from ..ops.create import zeros
from ..ops.elementwise.arithmetic import add, clamp_, clamp_max, maximum, mul_
from ..ops.reduce import sum_of_squares


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Any:
    """Scale the gradients of ``parameters`` down, all alike, to a total norm of ``max_norm``.

        norm = (sum over the elements g of all gradients of |g|^p)^(1/p)      p = inf: max |g|
        g    = g * min(1, max_norm / (norm + 1e-6))

    Returns the norm before, a 0-d tensor. ``parameters`` is a tensor or an iterable of tensors;
    those without a gradient do not count.

    Raises ValueError for a norm or order that is not positive; RuntimeError for a total norm of inf
    or nan if ``error_if_nonfinite``: then nothing was scaled.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> optim.clip_grad_norm_([x], max_norm=1.0)
    tensor(5.)
    >>> x.grad
    tensor([0.6, 0.8])
    """
    max_norm, order = float(max_norm), float(norm_type)
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be 0 or more, got {max_norm:g}")
    if not order > 0:
        raise ValueError(
            f"clip_grad_norm_: norm_type must be above 0 (2, 1, inf, ...), got {order:g}"
        )
    gradients = _gradients("clip_grad_norm_", parameters)
    with grad_mode(False):
        norm = total_norm(gradients, order)
        if error_if_nonfinite and not math.isfinite(norm.item()):
            raise RuntimeError(
                f"clip_grad_norm_: the total norm of the gradients is {norm.item()}, and so they "
                "cannot be scaled; error_if_nonfinite=False scales them nevertheless"
            )
        scale = clamp_max(max_norm / (norm + 1e-6), 1.0)
        for gradient in gradients:
            mul_(gradient, scale)
    return norm


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Keep every element of the gradients of ``parameters`` in [-clip_value, clip_value].

    Raises ValueError for a negative ``clip_value``.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import optim
    >>> x = tg.tensor([3.0, -0.25], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> optim.clip_grad_value_([x], 1.0)
    >>> x.grad
    tensor([ 1. , -0.5])
    """
    clip_value = float(clip_value)
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value must be 0 or more, got {clip_value:g}")
    with grad_mode(False):
        for gradient in _gradients("clip_grad_value_", parameters):
            clamp_(gradient, -clip_value, clip_value)


def total_norm(tensors: list[Any], order: float) -> Any:
    """The norm of all elements of all tensors together: a 0-d tensor, 0 if there are none."""
    tensors = [x for x in tensors if x.numel()]
    if not tensors:
        return zeros(())
    if order == math.inf:
        return reduce(maximum, [x.abs().amax() for x in tensors])
    if order == 2:
        return reduce(add, [sum_of_squares(x) for x in tensors]).sqrt()
    if order == 1:
        return reduce(add, [x.abs().sum() for x in tensors])
    return reduce(add, [(x.abs() ** order).sum() for x in tensors]) ** (1 / order)


def _gradients(function: str, parameters: Any) -> list[Any]:
    """The gradients of what has one."""
    given = [parameters] if isinstance(parameters, Value) else list(parameters)
    for each in given:
        if not isinstance(each, Value):
            raise TypeError(f"{function}: parameters must be tensors, not {type(each).__name__}")
    if (record := recording()) is not None:
        for each in given:
            if each.grad is None:
                record.guard_grad_is_none(each)
    return [each.grad for each in given if each.grad is not None]
