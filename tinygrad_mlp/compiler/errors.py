"""The error of a step that cannot be compiled."""

from __future__ import annotations

from typing import Any


class CaptureError(RuntimeError):
    """A step does what a compiled program cannot do.

    The message names the line and what to write instead. Raised by the first call of a compiled
    function, and by later calls that are captured again.

    >>> import tinygrad_mlp as tg
    >>> half = tg.compile(lambda x: x / x.sum().item())
    >>> try:
    ...     half(tg.ones(2))
    ... except tg.CaptureError as error:
    ...     print(str(error).partition(",")[0])
    item() takes a value out of the step that is being compiled
    """

    completed = False  # whether the step ran to its end despite the error
    result: Any = None  # the result of the step, if completed

    def after(self, result: Any) -> CaptureError:
        """Return the error of a step that ran to its end and returned ``result``."""
        self.completed, self.result = True, result
        return self
