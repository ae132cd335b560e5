"""`detect_anomaly`: where a gradient became NaN, and which saved array was written to unseen.

Inside the block ops are recorded in nodes of another class, `CheckedNode`.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import traceback
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .modes import mode
from .tape import Edge, Gradients, Node, Params, Value
from .values import as_array, forbid_during_capture


class CheckedNode(Node):
    """A node that remembers the line of its op and a checksum of each array that it saves."""

    def __init__(self, op: Any, inputs: tuple[Any, ...], params: Params, *, check_nan: bool):
        self.line, self.check_nan = _user_line(), check_nan
        super().__init__(op, inputs, params)
        assert self.saved is not None
        self.sums = {name: _checksum(value) for name, (value, _) in self.saved.items()}

    def save_results(self, outputs: tuple[Value, ...]) -> None:
        """Save the results that rules use, and what a `Function` saved, with checksums."""
        super().save_results(outputs)
        for name, (value, _) in self._kept().items():
            self.sums.setdefault(name, _checksum(value))

    def _kept(self) -> dict[str, tuple[Any, int]]:
        """Return the values that backward will use, each with the version of its memory."""
        context = getattr(self.op, "context", None)
        of_context = enumerate(getattr(context, "_saved", ()))
        return {**(self.saved or {}), **{f"saved tensor {k}": pair for k, pair in of_context}}

    def pullback(
        self, gradients: Gradients, edges: Sequence[Edge | None], create_graph: bool
    ) -> Gradients:
        """Return the gradients of the inputs; RuntimeError for a changed array, or for NaN."""
        for name, (value, version) in self._kept().items():
            unseen = value is not None and value.storage.version == version
            if unseen and _checksum(value) != self.sums[name]:
                raise RuntimeError(
                    f"`{name}` of `{self.op.name}`, recorded {self.line}, was changed since, and "
                    "its gradient needs the old values. No op changed it: look for a write "
                    "through its NumPy array, as in x.detach().numpy()[0] = 1, and write to a copy"
                )
        try:
            found = super().pullback(gradients, edges, create_graph)
        except RuntimeError as error:
            error.add_note(f"`{self.op.name}` was recorded {self.line}")
            raise
        for k, gradient in enumerate(found if self.check_nan else ()):
            if gradient is not None and np.isnan(as_array(gradient)).any():
                raise RuntimeError(
                    f"the gradient of input {k} of `{self.op.name}`, recorded {self.line}, is NaN"
                )
        return found


class detect_anomaly(contextlib.ContextDecorator):
    """Check the gradients of all ops recorded inside ``with tg.autograd.detect_anomaly():``.

    ``backward`` then raises RuntimeError, which names the op and the line that called it, if

    - a gradient is NaN (unless ``check_nan=False``);
    - an array that a gradient needs was changed through NumPy, for instance by
      ``x.detach().numpy()[0] = 1``. (Changes by ops are always noticed.)

    It is for debugging: each op takes several times as long. Calls of compiled steps are not
    checked.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([0.0], requires_grad=True)
    >>> with detect_anomaly():
    ...     y = (x.sqrt() * 0).sum()
    >>> try:
    ...     y.backward()
    ... except RuntimeError as error:
    ...     print(str(error).split(", recorded")[0])
    the gradient of input 0 of `sqrt`
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.checked_node = functools.partial(CheckedNode, check_nan=check_nan)
        self.before: list[Callable[..., Node] | None] = []

    def __enter__(self) -> None:
        forbid_during_capture("detect_anomaly()")
        self.before.append(mode.checked_node)
        mode.checked_node = self.checked_node

    def __exit__(self, *_: object) -> None:
        mode.checked_node = self.before.pop()


def _checksum(value: Any) -> int:
    """Return a checksum of a tensor's elements."""
    if value is None:
        return 0
    return zlib.crc32(as_array(value).tobytes())


def _user_line() -> str:
    """Return the innermost line of code outside of this package, in words."""
    function, file, line = user_line()
    return f"in {function}, {file}:{line}" if file else "in this package"


def user_line() -> tuple[str, str, int]:
    """Return function, file and line of the innermost code outside of this package."""
    package = __name__.split(".")[0]
    for frame, _ in traceback.walk_stack(sys._getframe()):
        if frame.f_globals.get("__name__", "").split(".")[0] != package:
            return frame.f_code.co_name, frame.f_code.co_filename, frame.f_lineno
    return "", "", 0
