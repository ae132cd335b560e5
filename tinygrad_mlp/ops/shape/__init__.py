"""Ops that rearrange or select elements.

Read in this order: ``axes.py`` (check axes and sizes), ``view.py`` (other shapes on the same
memory), ``view_history.py`` (gradients after a write to memory that views share), ``index.py``
(indexing with tensors, item assignment), ``select.py`` (gather, max, sorting, parts of a tensor),
``join.py`` (cat and stack).
"""

from ...autograd import tape
from . import view_history

tape.set_view_tracker(view_history)
