"""`Call`: a module that is a function and its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .module import Module


class Call(Module):
    """A function of the inputs, with options that are attributes of the module.

    A subclass names the ``function``, and the options by what it passes to `__init__`.
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(self, **options: Any):
        super().__init__()
        self.options = tuple(options)
        for name, value in options.items():
            setattr(self, name, value)

    def forward(self, *inputs: Any) -> Any:
        """The function of the inputs, with the options as they are now."""
        options = {name: getattr(self, name) for name in self.options}
        return type(self).function(*inputs, **options)

    def extra_repr(self) -> str:
        """The options; ``inplace`` only if it is on, as in PyTorch."""
        shown = [name for name in self.options if name != "inplace" or getattr(self, name)]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
