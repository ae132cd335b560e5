"""The ops: one declaration each, with forward, gradient rule, shape rule and textbook form.

How ops are made:

=================  =====================================================================
``op``             what an op is; the registry
``elementwise``    ops declared by a scalar formula, computed by generated kernels
``view``           ops that give a tensor another shape, and copy nothing
``reduce``         ops that fold axes; and `fit`, which undoes broadcasting
``fused``          ops with a kernel made by hand, forward and backward
``update``         ops that overwrite parameters and their state: the optimizers' steps
=================  =====================================================================

The ops themselves: ``arithmetic``, ``transcendental``, ``activation``, ``index``, ``matmul``,
``softmax``, ``random``, ``create``; for networks ``cross_entropy``, ``losses``, ``batch_norm``,
``layer_norm``, ``dropout``. ``derived`` are functions that need no op of their own.
"""
