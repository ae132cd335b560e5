"""The matrix product: C = A B, with a bias, added to C, or finished by an elementwise kernel.

Read the files in this order.

1. ``textbook.py``: three loops, the definition.
2. ``outer.py``: the loops in blocks; ``tiles.py``, ``tile.py``: the micro-kernel, a tile of C in
   registers; ``pack.py``: copies of blocks of the operands; ``vectors.py``: LLVM vectors.
3. ``inner.py``, ``dot.py``: products with few rows or columns, as dot products.
4. ``row.py``, ``axpy.py``: a single row.
5. ``partition.py``: the division among threads; ``words.py``: the arguments of these kernels.
6. ``choose.py``: which form is used, and its block sizes; ``deep.py``: long sums in chunks.
7. ``source.py``: kernels for each dtype and vector unit; ``planning.py``, ``arrays.py``: the calls.
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
