"""Generated kernels. Read the files in this order.

1. ``expression.py``: a scalar formula as a graph, traced from a Python function.
2. ``elementwise.py``: a formula becomes the source of a Numba kernel, in a file to be read.
3. ``row_addresses.py``: where each operand's row begins, for any strides.
4. ``reduction.py``: folds (sum, max, ...) along or across rows.
5. ``lanes.py``: sixteen partial sums, on every processor; ``target.py``: the processor's features,
   and fused multiply-add everywhere.
"""
