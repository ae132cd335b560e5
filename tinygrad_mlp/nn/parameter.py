"""`Parameter`: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ..autograd.tape import Value
from ..ops.create import tensor


class Parameter(Tensor):
    """A tensor that counts as a parameter of the module it is assigned to.

    ``data`` is a tensor, whose memory it shares, or anything that `tensor` takes.

    Raises RuntimeError for integers that should require a gradient.

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


def move(target: Any, value: Any) -> None:
    """Make ``target``, in place, a tensor on the memory of ``value``.

    What was recorded with it before is noticed as changed: by the old version and by the new one.
    """
    target.storage.version += 1
    value.storage.version = max(target.storage.version, value.storage.version)
    target.storage, target.layout, target.address = value.storage, value.layout, value.address
