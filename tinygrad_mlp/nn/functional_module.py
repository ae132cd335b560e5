"""`FunctionalModule`: the base of modules that are a function with options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .._tensor import Tensor
from .module import Module


class FunctionalModule(Module):
    """Base of modules that apply one function; its options are attributes of the module.

    A subclass sets ``function``, and passes the function's options to `__init__` by keyword. Every
    call reads the options again, so that they can be set between two calls.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, **options: Any):
        super().__init__()
        self.options = tuple(options)
        for name, value in options.items():
            setattr(self, name, value)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return ``function(*inputs, **options)``."""
        options = {name: getattr(self, name) for name in self.options}
        return type(self).function(*inputs, **options)

    def extra_repr(self) -> str:
        """Return the options; ``inplace`` only if it is True, as in PyTorch."""
        return self._options(*(n for n in self.options if n != "inplace" or getattr(self, n)))
