"""Tools that explain and check: gradients, the tape, the layers of a network.

Read in this order:

1. ``gradcheck.py``: the gradients of a function against difference quotients.
2. ``tape.py``: the ops behind a tensor and their gradient rules, printed.
3. ``summary.py``: the layers of a network, their output shapes and numbers of parameters.
4. ``monitor.py``: statistics of layers and gradients during training; ``advice.py``: its warnings;
   ``events.py``: the same for TensorBoard, with the graph.
"""

from .gradcheck import GradcheckError, gradcheck
from .monitor import Monitor
from .summary import summary
from .tape import tape

__all__ = ["GradcheckError", "Monitor", "gradcheck", "summary", "tape"]
