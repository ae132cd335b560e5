"""The matrix product: C = A B, with a bias, added to C, or finished by an elementwise kernel.

To be read in this order: the three loops of ``textbook.py``; ``outer.py``, which blocks them, and
its micro-kernel ``tile.py``; ``inner.py`` and ``dot.py``, for products with few rows or columns;
``pack.py``, their copies; ``planning.py``, which chooses between them.
"""

from .planning import Finish, Plan, plan
from .textbook import textbook
from .vectors import UNITS, host
from .words import ACCUMULATED, BIASED, ZEROS
