"""The ops: one declaration each, with forward, gradient rule, shape rule and textbook form.

======================  ================================================================
``op``                  what an op is; the registry
``elementwise``         ops declared by a scalar formula, computed by generated kernels
``arithmetic``          + - * / ** < == where clamp, conversions, copies
``transcendental``      exp, log, trigonometric and hyperbolic functions
``activation``          relu, gelu and their kin; elementwise losses
``view``                reshape, transpose, slices: no copy, no computation
``index``               indexing with tensors, item assignment, cat, stack
``reduce``              sum, mean, max, argmax; and `fit`, which undoes broadcasting
``matmul``              products
``softmax``             softmax, log_softmax, logsumexp
``random``, ``create``  tensors from the generator, from data, from nothing
======================  ================================================================
"""
