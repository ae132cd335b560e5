"""Gradient clipping, as in `torch.nn.utils`.

Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
networks", ICML 2013, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce

from .._tensor import Tensor
from ..autograd.modes import grad_mode, recording
from ..ops.create import zeros
from ..ops.elementwise.arithmetic import add, clamp_, clamp_max, maximum, mul_
from ..ops.reduce import sum_of_squares

Tensors = Tensor | Iterable[Tensor]


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale the gradients of ``parameters`` by one factor, to a total norm of ``max_norm`` or less.

        norm = (sum over the elements g of all gradients of |g|^p)^(1/p)      p = inf: max |g|
        g    = g * min(1, max_norm / (norm + 1e-6))

    Args:
        parameters: a tensor or an iterable of tensors; those without a gradient are skipped.
        max_norm: the largest norm that is left as it is, 0 or more.
        norm_type: the order p, above 0; 2, 1 and `math.inf` are the fastest.
        error_if_nonfinite: raise an error if the norm is inf or nan, and scale nothing.

    Returns:
        The norm before the scaling, a 0-d tensor.

    Raises:
        ValueError: for ``max_norm`` or ``norm_type`` out of range.
        RuntimeError: for a norm of inf or nan, if ``error_if_nonfinite``.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> x = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> nn.utils.clip_grad_norm_([x], max_norm=1.0)
    tensor(5.)
    >>> x.grad
    tensor([0.6, 0.8])
    """
    tensors = _tensors("clip_grad_norm_", parameters)
    norm = get_total_norm(_gradients(tensors), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(tensors, max_norm, norm)
    return norm


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Return the norm of all elements of all tensors together, a 0-d tensor; 0 for no tensors.

    Arguments and errors as in `clip_grad_norm_`.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.utils.get_total_norm([tg.tensor([3.0]), tg.tensor([[4.0]])])
    tensor(5.)
    """
    order = float(norm_type)
    if not order > 0:
        raise ValueError(
            f"get_total_norm: `norm_type` must be above 0 (2, 1, inf, ...), got {order:g}"
        )
    filled = [x for x in _tensors("get_total_norm", tensors) if x.numel()]
    with grad_mode(False):
        if not filled:
            norm = zeros(())
        elif order == math.inf:
            norm = reduce(maximum, [x.abs().amax() for x in filled])
        elif order == 2:
            norm = reduce(add, [sum_of_squares(x) for x in filled]).sqrt()
        else:
            powers = [x.abs() if order == 1 else x.abs() ** order for x in filled]
            total = reduce(add, [x.sum() for x in powers])
            norm = total if order == 1 else total ** (1 / order)
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise RuntimeError(
            f"the total norm of the gradients is {norm.item()}, so they cannot be scaled to a "
            "finite norm; error_if_nonfinite=False scales them anyway"
        )
    return norm


def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor) -> None:
    """Scale the gradients of ``parameters`` by min(1, max_norm / (total_norm + 1e-6)).

    The second half of `clip_grad_norm_`, for a norm that `get_total_norm` returned.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> x = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> nn.utils.clip_grads_with_norm_(x, 1.0, tg.tensor(5.0))
    >>> x.grad
    tensor([0.6, 0.8])
    """
    _check_limit("max_norm", max_norm)
    with grad_mode(False):
        scale = clamp_max(float(max_norm) / (total_norm + 1e-6), 1.0)
        for gradient in _gradients(_tensors("clip_grads_with_norm_", parameters)):
            mul_(gradient, scale)


def clip_grad_value_(parameters: Tensors, clip_value: float) -> None:
    """Clamp every element of the gradients of ``parameters`` to [-clip_value, clip_value].

    Raises:
        ValueError: for a negative ``clip_value``.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> x = tg.tensor([3.0, -0.25], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> nn.utils.clip_grad_value_([x], 1.0)
    >>> x.grad
    tensor([ 1. , -0.5])
    """
    _check_limit("clip_value", clip_value)
    with grad_mode(False):
        for gradient in _gradients(_tensors("clip_grad_value_", parameters)):
            clamp_(gradient, -float(clip_value), float(clip_value))


def _check_limit(name: str, value: float) -> None:
    if not float(value) >= 0:
        raise ValueError(f"gradient clipping: `{name}` must be 0 or more, got {float(value):g}")


def _tensors(function: str, values: Tensors) -> list[Tensor]:
    tensors = [values] if isinstance(values, Tensor) else list(values)
    for each in tensors:
        if not isinstance(each, Tensor):
            raise TypeError(f"{function}: takes tensors, not {type(each).__name__}")
    return tensors


def _gradients(tensors: list[Tensor]) -> list[Tensor]:
    """Return the gradients of the tensors that have one; a recording guards that it stays so."""
    if (record := recording()) is not None:
        for each in tensors:
            if each.grad is None:
                record.guard_grad_is_none(each)
    return [each.grad for each in tensors if each.grad is not None]
