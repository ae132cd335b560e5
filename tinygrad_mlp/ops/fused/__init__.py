"""Ops with kernels made by hand, each with a textbook form that a test compares it with.

Read ``declare.py`` first (how a fused op is declared and differentiated), then ``softmax.py``, the
smallest of them. ``matmul.py`` (products), ``cross_entropy.py``, ``batch_norm.py``,
``layer_norm.py`` and ``dropout.py`` are ops of networks; ``optimizer_update.py`` has the steps of
the optimizers, ``epoch_ops.py`` ops that let one program run many steps, ``members.py`` ops on each
of several networks. The kernels of most are in
``kernels/fused/`` under the same name; the first lines of each file say where.
"""
