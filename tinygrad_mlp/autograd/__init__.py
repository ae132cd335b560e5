"""Automatic differentiation in reverse mode.

What ``loss.backward()`` does, and where to read it, in this order:

1. ``op.py``: an op declares how it runs, and the gradient rule of each input.
2. ``tape.py``: `apply` runs an op on values. If an input requires a gradient, the result points to
   a `Node`, which holds what the rules need and points to the nodes of the inputs: the graph.
3. ``backward.py``: `Tensor.backward` (``_tensor.py``) calls `backward` here. `run_backward` visits
   the nodes from the loss to the leaves. `Node.pullback` (``tape.py``) calls the rules of the
   node's op, which turn the gradient of its result into gradients of its inputs. These are summed
   to the input's shape (``ops/broadcasting.py``), added where paths meet, and added to ``.grad`` of
   the leaves. `textbook_backward`, at the top of the file, is the algorithm in its simplest form.
4. ``modes.py``: `no_grad` switches the recording off; `record` lists every op that is applied.
5. ``function.py``: `Function`, an op defined by a user. ``anomaly.py``: `detect_anomaly`, checks
   of saved arrays and gradients.
6. ``values.py``, ``dtypes.py``, ``hooks.py``: conversion from and to NumPy arrays and numbers, type
   promotion, and handles of hooks.
"""

from typing import TYPE_CHECKING

from .anomaly import detect_anomaly
from .backward import backward, grad
from .function import Context, Function
from .modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

if TYPE_CHECKING:  # set by the package, for ``study`` imports this folder
    from ..study.gradcheck import gradcheck

__all__ = [
    "Context", "Function", "backward", "detect_anomaly", "enable_grad", "grad", "gradcheck",
    "is_grad_enabled", "no_grad", "set_grad_enabled",
]  # fmt: skip
