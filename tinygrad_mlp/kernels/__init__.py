"""Kernels: machine code, made with Numba, that reads and writes arrays by their addresses.

A kernel is one compiled function ``kernel(arguments, thread, threads)`` per dtype. Eager mode calls
it for one op; a compiled program calls it row by row. Read the folders in this order:

1. ``runtime/``: how a kernel is compiled, cached, called and divided among threads; memory.
2. ``codegen/``: elementwise and reduction kernels, generated from scalar formulas.
3. ``vmath/``: exp, log, tanh and others, as code that LLVM vectorises.
4. ``philox.py``: random numbers.
5. ``fused/``: softmax, losses, normalisation: kernels written by hand, named as their ops.
6. ``gemm/``: the matrix product, from three loops to tiles in registers.

The order of every summation depends on shapes and strides alone. For the same layouts, results have
the same bits on every processor and for any number of threads.
"""
