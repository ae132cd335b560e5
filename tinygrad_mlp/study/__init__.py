"""Tools that explain and check: gradients, the tape, the layers of a network.

Read in this order:

1. ``gradcheck.py``: the gradients of a function against difference quotients.
2. ``tape.py``: the ops behind a tensor and their gradient rules, printed.
3. ``summary.py``: the layers of a network, their output shapes and numbers of parameters.
"""

from .gradcheck import GradcheckError, gradcheck
from .summary import summary
from .tape import tape

__all__ = ["GradcheckError", "gradcheck", "summary", "tape"]
