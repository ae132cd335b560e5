"""Tools that explain and check: gradients, the tape, the layers of a network.

Read in this order:

1. ``textbook.py``: the whole of reverse mode on NumPy arrays, in one page. Begin here.
2. ``tape.py``: the ops behind a tensor and their gradient rules, printed; ``spelling.py``: rules as
   formulas; ``calculus.py``: those of fused losses.
3. ``watch.py``: a forward pass with its values; ``steps.py``: the backward pass event by event;
   ``page.py``: both in a browser; ``notebook.py``: what notebooks show.
4. ``gradcheck.py``: the gradients of a function against difference quotients;
   ``gradcheck_ops.py``: of each op; ``gradient_report.py``: what was found, as text.
5. ``summary.py``: the layers of a network, their output shapes and numbers of parameters.
6. ``monitor.py``: statistics of layers and gradients during training; ``advice.py``: its warnings;
   ``events.py``: the same for TensorBoard, with the graph.
7. ``tour/``: ten chapters to read and run, from the chain rule to a kernel.
"""

from .gradcheck import GradcheckError, check_gradients, gradcheck
from .gradient_report import GradientReport
from .monitor import Monitor
from .notebook import install as _install
from .page import page
from .steps import Event, Steps, steps
from .summary import summary
from .tape import tape
from .watch import watch

__all__ = [
    "Event",
    "GradcheckError",
    "GradientReport",
    "Monitor",
    "Steps",
    "check_gradients",
    "gradcheck",
    "page",
    "steps",
    "summary",
    "tape",
    "watch",
]

_install()
