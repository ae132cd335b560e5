"""`RemovableHandle`: how a hook of a tensor or a module is removed."""

from __future__ import annotations

import itertools
from typing import Any


class RemovableHandle:
    """Removes a hook: by ``handle.remove()``, or at the end of a ``with handle:`` block."""

    _numbers = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any):
        self.hooks, self.id = hooks, next(self._numbers)
        hooks[self.id] = hook

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
