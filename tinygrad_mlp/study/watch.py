"""`watch`: record a forward pass with the values of all inputs and results, and source lines.

Inside the block ops are recorded in nodes of another class, `WatchedNode`.
"""

from __future__ import annotations

import contextlib
import functools
import linecache
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.anomaly import user_line
from ..autograd.modes import mode
from ..autograd.tape import Node, Params, Value
from ..autograd.values import as_array, forbid_during_capture
from ..kernels.runtime.layout import Layout
from ..nn import Module

_Place = tuple[int, int, Layout, int]  # storage, address, layout and version: the same numbers


class WatchedNode(Node):
    """A node with copies of its inputs and results, the line of its op, and its module."""

    values: tuple[np.ndarray, ...] = ()  # the results

    def __init__(self, op: Any, inputs: tuple[Any, ...], params: Params, *, by: watch):
        self.by, self.module = by, by.modules[-1] if by.modules else ""
        self.function, self.file, self.lineno = user_line()
        self.inputs = [by.copy(value) for value in inputs]
        self.sources = [(value.address, value.layout) for value in inputs]
        super().__init__(op, inputs, params)

    def save_results(self, outputs: tuple[Value, ...]) -> None:
        """Save the results that rules use, and a copy of each result."""
        super().save_results(outputs)
        self.values = tuple(map(self.by.copy, outputs))

    @property
    def line(self) -> str:
        """The source line that applied the op: ``mlp.py:12``."""
        return f"{self.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{self.lineno}"

    @property
    def source(self) -> str:
        """The text of that line."""
        return linecache.getline(self.file, self.lineno).strip()


class watch(contextlib.ContextDecorator):
    """Record ops inside ``with tg.study.watch():`` with values, source lines and modules.

    `steps` and `page` then show the numbers of the forward pass too, also those that no gradient
    rule saves. Each array is copied. Calls of compiled steps are not recorded.

    Args:
        model: whose modules the ops belong to.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> with tg.study.watch():
    ...     y = x.relu()
    >>> y.grad_fn.inputs[0], y.grad_fn.values[0]
    (array([ 1., -2.], dtype=float32), array([1., 0.], dtype=float32))
    """

    def __init__(self, model: Module | None = None) -> None:
        self.model, self.modules = model, list[str]()
        self.make = functools.partial(WatchedNode, by=self)
        self.before: list[tuple[Callable[..., Node] | None, list[Any]]] = []
        self.copies: dict[_Place, tuple[Any, np.ndarray]] = {}

    def __enter__(self) -> watch:
        forbid_during_capture("study.watch()")
        self.before.append((mode.checked_node, self._follow_modules()))
        mode.checked_node = self.make
        return self

    def __exit__(self, *_: object) -> None:
        mode.checked_node, handles = self.before.pop()
        for handle in handles:
            handle.remove()
        self.modules.clear()
        self.copies.clear()

    def copy(self, value: Any) -> np.ndarray:
        """Return a copy of the elements of a tensor: the same array for the same elements."""
        place = (id(value.storage), value.address, value.layout, value.storage.version)
        if place not in self.copies:
            self.copies[place] = value.storage, np.array(as_array(value))
        return self.copies[place][1]

    def _follow_modules(self) -> list[Any]:
        """Keep the name of the module whose forward runs at the end of ``modules``."""
        handles = []
        for name, module in [] if self.model is None else self.model.named_modules():
            enter = functools.partial(self._enter, name)
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(self._leave))
        return handles

    def _enter(self, name: str, *_: Any) -> None:
        self.modules.append(name)

    def _leave(self, *_: Any) -> None:
        self.modules.pop()
