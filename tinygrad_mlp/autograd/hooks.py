"""Hooks: functions that tensors and modules call on the way, and how to take them away again."""

from __future__ import annotations

import itertools
from typing import Any


class RemovableHandle:
    """Takes a hook away again: ``handle.remove()``, or leave a ``with handle:`` block."""

    _numbers = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any):
        self.hooks, self.id = hooks, next(self._numbers)
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
