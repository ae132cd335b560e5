"""`Parameter`, the tensor that a module learns, and functions that change one in place."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ..autograd.backward import forget_gradient
from ..autograd.modes import recording
from ..autograd.tape import Value
from ..ops.create import tensor
from ..ops.elementwise.arithmetic import zero_


class Parameter(Tensor):
    """Tensor that a module registers as a parameter when it is assigned to an attribute.

    Unlike in PyTorch, ``data`` must be given.

    Args:
        data: a tensor, whose memory the parameter shares, or whatever `tensor` takes.
        requires_grad: whether `backward` computes its gradient.

    Raises:
        RuntimeError: for integers that should require a gradient.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.Parameter(tg.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, data: Any, requires_grad: bool = True):
        value = data if isinstance(data, Value) else tensor(data)
        Value.__init__(self, value.storage, value.layout, value.address)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def reset_gradient(parameter: Tensor, set_to_none: bool) -> None:
    """Set ``parameter.grad`` to None; or, not ``set_to_none``, fill it with 0 if there is one."""
    if set_to_none:
        forget_gradient(parameter)
    elif parameter.grad is not None:
        if parameter.grad.requires_grad:
            parameter.grad = parameter.grad.detach()
        zero_(parameter.grad)
    elif (record := recording()) is not None:
        record.guard_grad_is_none(parameter)


def set_memory(target: Tensor, source: Tensor) -> None:
    """Make ``target``, in place, a tensor on the memory of ``source``.

    Both versions grow, the old memory's and the new one's, so that `backward` through an op that
    saved ``target`` before finds that it was changed.
    """
    target.storage.version += 1
    source.storage.version = max(target.storage.version, source.storage.version)
    target.storage, target.layout, target.address = source.storage, source.layout, source.address
