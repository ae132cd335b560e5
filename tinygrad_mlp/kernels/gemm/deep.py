"""Products with few elements and long sums, such as a small weight's gradient over a large batch.

    C = A B = sum over chunks p of  A[:, p] B[p, :]

k is cut into equal chunks, whose number depends on sizes alone. Each chunk is a separate product in
scratch; the products are then added in order. Threads compute whole chunks, and so read the rows of
a batch that they have written themselves: reading from another core's cache is slow.
"""

from __future__ import annotations

import functools

from numba.core import types

from ..runtime import threads
from ..runtime.launch import Launch, compiled
from ..runtime.layout import Layout, dense, layout_of
from ..runtime.memory import pointer, scratch, words_of
from ..runtime.slices import slice_of
from .choose import NARROW
from .planning import NS, Plan, plan

_FEW = 8192  # elements of C, at most
_LONG = 256  # terms of a sum, at least
_DEPTH, _CHUNKS = 64, 64  # the least depth of a chunk, the largest number of chunks

SUMS, OUT = 1, 2  # words of the kernel that adds the chunks
CHUNKS, ROWS, COLUMNS = range(3)  # its constants


def chunks_of(M: int, N: int, K: int) -> int:
    """Return the number of chunks: 1 if C has many elements, or K no suitable divisor."""
    if M < 2 or M * N > _FEW or max(_LONG, 2 * M, 2 * N) > K:
        return 1
    return max(n for n in range(1, min(K // _DEPTH, _CHUNKS) + 1) if K % n == 0)


class DeepPlan:
    """A product in chunks, run as a `Plan` is; ``transposed``: chunks are C' = B' A'."""

    __slots__ = ("add", "constants", "parts", "products", "transposed")

    def __init__(self, products: Plan, parts: Layout, transposed: bool):
        count, rows, columns = parts.shape
        shape = [rows, columns] if transposed else [1, rows * columns]
        kernel = address(str(parts.dtype))
        self.products, self.parts, self.transposed, self.constants = products, parts, transposed, 0
        self.add = Launch(kernel, 2, [count, *shape], parts.size / 16 * NS)

    def run(self, words: tuple[int, ...]) -> None:
        """Run on argument words: one that is ignored, A, B, 0, C."""
        _, a, b, _, c = words
        if self.transposed:
            a, b = b, a
        count = threads.get_num_threads()
        size = -(-self.products.scratch(count) // 64) * 64
        memory = scratch(size + self.parts.nbytes)
        constants = self.products.constants
        self.products.launch.run((constants, a, b, 0, memory + size, memory, count))
        self.add.run((self.add.constants_address, memory + size, c))


def plan_deep(a: Layout, b: Layout, c: Layout) -> DeepPlan | Plan | None:
    """Return the plan of C = A B of (..., M, K) and (..., K, N), in chunks if that is faster."""
    chunks = chunks_of(*c.shape, a.shape[-1]) if c.ndim == 2 else 1
    if chunks == 1:
        return plan(a, b, c)
    transposed = a.strides[0] == a.dtype.itemsize and c.shape[1] <= NARROW < c.shape[0]
    if transposed:
        a, b = _transpose(b), _transpose(a)
    M, N, depth = a.shape[0], b.shape[1], a.shape[1] // chunks
    (a_row, a_col), (b_row, b_col) = a.strides, b.strides
    parts = dense((chunks, M, N), c.dtype)
    products = plan(
        layout_of((chunks, M, depth), (depth * a_col, a_row, a_col), a.dtype),
        layout_of((chunks, depth, N), (depth * b_row, b_row, b_col), b.dtype),
        parts,
    )
    assert products is not None, "the distance between chunks is one stride"
    return DeepPlan(products, parts, transposed)


def _transpose(matrix: Layout) -> Layout:
    return layout_of(matrix.shape[::-1], matrix.strides[::-1], matrix.dtype)


@functools.cache
def address(dtype: str) -> int:
    """Return the address of the kernel that adds the chunks."""
    return compiled(_add(getattr(types, dtype)))


def _add(real):
    def add_chunks(arguments, thread, threads):
        """Add the chunks, and write the total at row r and column q to row q and column r of C."""
        words, sizes = words_of(arguments)
        chunks, rows, columns = sizes[CHUNKS], sizes[ROWS], sizes[COLUMNS]
        sums, out = pointer(words[SUMS], real), pointer(words[OUT], real)
        first, last = slice_of(columns, thread, threads)
        for p in range(1, chunks):
            for r in range(rows):
                for at in range(r * columns + first, r * columns + last):
                    sums[at] += sums[p * rows * columns + at]
        for r in range(rows):
            for q in range(first, last):
                out[q * rows + r] = sums[r * columns + q]

    return add_chunks
