"""The matrix product: C = A B, with a bias, added to C, or finished by an elementwise kernel.

To be read in this order: the three loops of ``textbook.py``; ``outer.py``, which blocks them, and
its micro-kernel ``tile.py``; ``inner.py`` and ``dot.py``, for products with few rows or columns;
``row.py`` and ``axpy.py``, for a single row; ``pack.py``, their copies; ``partition.py``, their
threads; ``choose.py``, which chooses between them; ``deep.py``, which cuts long sums into chunks;
``planning.py`` and ``arrays.py``, how they are called.
"""

__all__ = [
    "ACCUMULATED",
    "BIASED",
    "UNITS",
    "ZEROS",
    "DeepPlan",
    "Finish",
    "Plan",
    "host",
    "plan",
    "plan_deep",
    "product",
    "textbook",
]

from .arrays import product
from .deep import DeepPlan, plan_deep
from .planning import Finish, Plan, plan
from .textbook import textbook
from .vectors import UNITS, host
from .words import ACCUMULATED, BIASED, ZEROS
