"""Chapter 10: a kernel, from three loops to tiles.

Nearly all time of a network goes into matrix products: C_ij = sum over k of A_ik B_kj. In Python:

>>> import numpy as np
>>> a, b = np.arange(48.0).reshape(6, 8), np.arange(32.0).reshape(8, 4)
>>> def three_loops(a, b):
...     c = np.zeros((len(a), b.shape[1]))
...     for i in range(len(a)):
...         for j in range(b.shape[1]):
...             for k in range(len(b)):
...                 c[i, j] += a[i, k] * b[k, j]
...     return c
>>> bool((three_loops(a, b) == a @ b).all())
True

Each of the M N K multiplications reads two numbers: 2 M N K reads, of M K + K N different ones. A
processor multiplies far faster than it reads from memory, so the reads decide.

Now compute a tile of C at once, of T x T elements, and keep it in registers while k runs. For each
k the tile needs T numbers of A and T of B, and does T^2 multiplications with them: T / 2 per read.

>>> def tiled(a, b, tile=2):
...     c, reads = np.zeros((len(a), b.shape[1])), 0
...     for i in range(0, len(a), tile):
...         for j in range(0, b.shape[1], tile):
...             part = np.zeros((tile, tile))  # registers
...             for k in range(len(b)):
...                 column, row = a[i : i + tile, k], b[k, j : j + tile]
...                 reads += len(column) + len(row)
...                 part += np.outer(column, row)
...             c[i : i + tile, j : j + tile] = part
...     return c, reads
>>> bool((tiled(a, b)[0] == a @ b).all())
True
>>> 2 * 6 * 4 * 8, tiled(a, b)[1]  # reads of three loops, and of tiles of 2 x 2
(384, 192)

The real kernel (kernels/gemm/tile.py) is this with tiles of 12 x 32 on AVX-512: 24 vectors of 16
numbers in registers. For each k it reads 2 vectors of B and 12 numbers of A, and does 24
multiply-adds of 16 numbers. It is the same product:

>>> import tinygrad_mlp as tg
>>> bool(((tg.tensor(a) @ tg.tensor(b)).numpy() == three_loops(a, b)).all())
True

Backward consists of two such products, g @ B.T and A.T @ g: a step costs three times its forward.

>>> loss, names = example()
>>> print(tg.study.tape(loss, names))
leaves
  a         float32 (6, 8)
  b         float32 (8, 4)
tape, oldest first; backward goes up from the last line
  %1 = matmul(a, b)          float32 (6, 4)
         dL/da = %1' @ b.mT
         dL/db = a.mT @ %1'
  %2 = sum(%1, dims=(0, 1))  float32 ()
         dL/d%1 = %2'.expand(6, 4)
%n' is dL/d%n, the gradient that arrives at line n
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...ops.create import arange


def example() -> tuple[Tensor, dict[str, Tensor]]:
    """Return the sum of a product of two matrices, and their names."""
    a = arange(48.0).reshape(6, 8).requires_grad_()
    b = arange(32.0).reshape(8, 4).requires_grad_()
    return (a @ b).sum(), {"a": a, "b": b}
