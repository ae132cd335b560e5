"""Reverse mode in one sitting: read the files in this order.

1. ``op.py``: what an op is, and its gradient rules.
2. ``tape.py``: `Value`, `Node`, and `apply`, the one place where ops are applied and recorded.
3. ``backward.py``: gradients walk the tape back.
4. ``modes.py``: what this thread does with the ops that it applies.
5. ``function.py``: an op of your own.
6. ``values.py``, ``dtypes.py``, ``hooks.py``: arrays and values, promotion, hooks.
"""

from __future__ import annotations

from .backward import grad
from .function import Context, Function
from .modes import enable_grad, no_grad, set_grad_enabled

__all__ = ["Context", "Function", "enable_grad", "grad", "no_grad", "set_grad_enabled"]
