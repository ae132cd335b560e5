"""Kernels written by hand, named as their ops in ``ops/fused/``, where their textbook form stands.

1. ``softmax.py``, then ``cross_entropy.py``, which is built on it.
2. ``column_sums.py``, then ``layer_norm.py`` and ``batch_norm.py``, which share it.
3. ``gather.py``, ``isfinite.py``, ``first_outside.py``, ``argmax.py``: small ones.
"""
